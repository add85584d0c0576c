"""The OmegaConf resolvers that claim the folders of runs and sweeps."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from thesis_ml.utils.paths import RUNS_FOLDER, SWEEPS_FOLDER, claim_folder


def register_folder_resolvers() -> None:
    """Register the resolvers that configs/hydra names.

    Their results are cached in the config, and Hydra hands that cache to every job, also in other processes: all jobs
    of a sweep see the one folder that was claimed. The sweep's folder has no argument, so that no swept key changes it.
    """
    OmegaConf.register_new_resolver("claim_run_folder", _claim_run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("claim_sweep_folder", _claim_sweep_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("name_job_folder", _name_job_folder, replace=True)


def _claim_run_folder(*, _root_: DictConfig) -> str:
    if not OmegaConf.select(_root_, "logging.save_artifacts", default=True):
        return "."
    name = _root_.get("name") or OmegaConf.select(_root_, "hydra.runtime.choices.loop") or "run"
    return str(claim_folder(Path(_root_.env.output_root) / RUNS_FOLDER, "run", str(name)))


def _claim_sweep_folder(*, _root_: DictConfig) -> str:
    name = _root_.get("name") or "experiment"
    return str(claim_folder(Path(_root_.env.output_root) / SWEEPS_FOLDER, "exp", str(name)))


def _name_job_folder(number: int | str) -> str:
    return f"{int(number):03d}"
