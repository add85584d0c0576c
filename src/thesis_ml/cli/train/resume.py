"""What a resumed run takes from its folder: with `resume=<run dir>` its arguments, and defaults that have changed."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.train.planned import change_jobs, check_overrides, find_key, read_resumable_plan
from thesis_ml.data.config import EARLIER_DEFAULTS, DataConfig
from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.lines import find_config, read_events
from thesis_ml.facts.recorder import holds_facts
from thesis_ml.training_loops.registry import is_below
from thesis_ml.utils.paths import FACTS_FOLDER, HYDRA_FOLDER, SWEEP_PLAN, is_run_folder, is_sweep_folder
from thesis_ml.utils.plain_yaml import read_plain_yaml
from thesis_ml.utils.texts import make_printable, quote_value

RESUME = "resume="
SWEEP_FLAGS = ("--multirun", "-m")
OUR_HYDRA = ("hydra=run_single", "hydra=experiment")
"""Overrides of a run that do not describe it."""

CHANGED_DEFAULTS: Mapping[str, tuple[Any, Any]] = {
    **{f"data.{name}": (getattr(DataConfig(), name), earlier) for name, earlier in EARLIER_DEFAULTS.items()},
    "phase1.latent_space.ema_fast_start": (True, False),
}
"""The keys whose defaults have changed: that of today, and that of a run whose facts do not name the key."""

SIBLINGS = {"phase1.latent_space.ema_fast_start": "phase1.latent_space.ema_decay"}
"""A key that only some components have is that of those which have its sibling."""


def expand_resume(arguments: list[str]) -> list[str]:
    """Return the arguments of Hydra with `resume=<folder>` of a run or a sweep replaced by those that it stands for.

    Raises:
        ConfigError: There is no such run, its stored overrides cannot be read, or a sweep is asked for.
    """
    chosen = [argument for argument in arguments if argument.startswith(RESUME)]
    text = chosen[-1].removeprefix(RESUME).strip() if chosen else ""
    if text in ("", "null"):
        return arguments
    try:
        run_dir = Path(_unquote(text)).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"resume: {text!r}: {error} Give the folder of a run") from None
    if not is_run_folder(run_dir) and is_sweep_folder(run_dir):
        return _expand_sweep(run_dir, [argument for argument in arguments if argument not in chosen])
    if any(flag in arguments for flag in SWEEP_FLAGS):
        raise ConfigError("resume: the folder is that of a run, which is no sweep; leave --multirun out")
    if not is_run_folder(run_dir):
        raise ConfigError(f"resume: {str(run_dir)!r} holds no run; give a folder such as outputs/runs/run_...")
    own = [argument for argument in arguments if argument not in chosen]
    if any(find_key(argument) == "hydra.run.dir" for argument in own):
        raise ConfigError("resume: resumes in the folder of the run; remove hydra.run.dir")
    own_keys = {find_key(argument) for argument in own}
    stored = [override for override in read_overrides(run_dir) if find_key(override) not in own_keys]
    # An experiment among the stored overrides would make a sweep of it.
    return [*stored, *own, "hydra.mode=RUN", f"hydra.run.dir={quote_value(str(run_dir))}"]


def _expand_sweep(sweep: Path, own: Sequence[str]) -> list[str]:
    """Return the arguments that resume a sweep by the launcher that it had, unless another is typed.

    Overrides that are typed besides change the jobs that run.
    """
    own = [argument for argument in own if argument not in SWEEP_FLAGS]
    if any(find_key(argument) == "hydra.sweep.dir" for argument in own):
        raise ConfigError("resume: resumes in the folder of the sweep; remove hydra.sweep.dir")
    plan = read_resumable_plan(sweep)
    check_overrides(plan.typed, sweep / SWEEP_PLAN)
    ours = [one for one in own if one.startswith("-") or re.match(r"hydra\b|jobs$|extend$", find_key(one))]
    change_jobs([argument for argument in own if argument not in ours])
    typed = next((one for one in ours if find_key(one) == "hydra/launcher"), None)
    launcher = []
    if typed in (None, f"hydra/launcher={plan.launcher}"):
        launcher = [one for one in plan.repeat_launcher() if one not in ours]
        if plan.unrepeated:
            left = make_printable(shlex.join(plan.unrepeated))
            print(f"options of the launcher that are not repeated; type them again where needed: {left}")
    return ["--multirun", *plan.typed, *launcher, *ours, f"hydra.sweep.dir={quote_value(str(sweep))}"]


def read_overrides(run_dir: Path) -> list[str]:
    """Return the overrides that the run was started with.

    Raises:
        ConfigError: The file is not a list of overrides, or one of them would choose code for Hydra to run.
    """
    path = run_dir / HYDRA_FOLDER / "overrides.yaml"
    if not path.is_file():
        raise ConfigError(f"{path}: does not exist; start with hydra.run.dir and the overrides of the run")
    try:
        overrides = read_plain_yaml(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); start with hydra.run.dir and the overrides") from None
    if not isinstance(overrides, list) or not all(isinstance(entry, str) for entry in overrides):
        raise ConfigError(f"{path}: is no list of overrides; start with hydra.run.dir and the overrides")
    overrides = [override for override in overrides if override not in OUR_HYDRA]
    check_overrides(overrides, path)
    return overrides


def restore_defaults(cfg: DictConfig, folder: Path, typed: Collection[str]) -> DictConfig:
    """Return the configuration of a start, with the defaults that the run in `folder` had, if there is one.

    Only a value that is the default of today, or that no file sets, is replaced.

    Args:
        cfg: Composed with the defaults of today.
        folder: The folder of the run.
        typed: The keys that the user typed, which stay as they are.

    Raises:
        FactsError: The facts of the run cannot be read, or hold a value that the key cannot have.
    """
    facts = folder / FACTS_FOLDER
    stored = find_config(read_events(facts)) if holds_facts(facts) else {}
    restored = cfg.copy()
    for key, (today, earlier) in CHANGED_DEFAULTS.items():
        is_known = OmegaConf.select(cfg, SIBLINGS.get(key, key.rpartition(".")[0])) is not None
        composed = OmegaConf.select(cfg, key)
        is_default = composed is None or composed == (list(today) if isinstance(today, tuple) else today)
        if stored and is_known and is_default and not is_below(key, tuple(typed)):
            value = _find_value(stored, key, earlier)
            if not isinstance(value, bool) and "$" in str(value):
                raise FactsError(f"{facts}: {key} is {value!r:.100}, which no run has; start in another folder")
            OmegaConf.update(restored, key, value, force_add=True, merge=False)
    return restored


def _find_value(config: Mapping[str, Any], key: str, default: Any) -> Any:
    value: Any = config
    for name in key.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return default
        value = value[name]
    return value


def _unquote(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text
