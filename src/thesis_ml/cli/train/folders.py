"""The OmegaConf resolvers that claim the folders of runs and sweeps."""

from omegaconf import OmegaConf

from thesis_ml.utils.paths import RUNS_FOLDER, SWEEPS_FOLDER, claim_folder, expand_home


def register_folder_resolvers() -> None:
    """Register the resolvers that configs/hydra names.

    Their results are cached in the config by the text of their arguments, not by the values, and Hydra hands that
    cache to every job, also in other processes: all jobs of a sweep see the one folder that was claimed for it, even
    when `name` is swept.
    """
    OmegaConf.register_new_resolver("claim_run_folder", _claim_run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("claim_sweep_folder", _claim_sweep_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("name_job_folder", _name_job_folder, replace=True)


def _claim_run_folder(output_root: str, name: str | None, loop: str | None, saves_artifacts: bool) -> str:
    if not saves_artifacts:
        return "."
    return str(claim_folder(expand_home(output_root) / RUNS_FOLDER, "run", str(name or loop or "run")))


def _claim_sweep_folder(output_root: str, name: str | None) -> str:
    return str(claim_folder(expand_home(output_root) / SWEEPS_FOLDER, "exp", str(name or "experiment")))


def _name_job_folder(number: int | str) -> str:
    return f"{int(number):03d}"
