"""Refuse a wrong command line or configuration before a folder is made or data is read."""

import copy
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from thesis_ml.cli.groups import list_groups
from thesis_ml.cli.hydra_errors import list_leaves
from thesis_ml.cli.keys import COMMAND_KEYS, MOVED_KEYS, describe_moved
from thesis_ml.cli.train.resume import restore_defaults
from thesis_ml.config import choose, hint_nearest, parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.limits import require
from thesis_ml.training_loops.registry import LOOPS, find_readers, is_below
from thesis_ml.utils.environment import EnvConfig, check_user

log = logging.getLogger(__name__)


def check_command_line(arguments: Sequence[str]) -> None:
    """Refuse arguments that Hydra itself answers with a ValueError.

    Raises:
        ConfigError: Flags exclude each other, or a group is given something else than a name.
        HydraException: An override cannot be read.
    """
    flags = get_args_parser().parse_args(arguments)
    modes = {"--run": flags.run, "--multirun": flags.multirun, "--cfg": flags.cfg, "--info": flags.info}
    chosen = [name for name, value in modes.items() if value]
    require(len(chosen) <= 1, " and ".join(chosen), "given alone", " ".join(arguments))
    if flags.resolve and not (flags.cfg or flags.help):
        raise ConfigError("--resolve: belongs to --cfg or --help; add one of them")
    if flags.package and not flags.cfg:
        raise ConfigError("--package: belongs to --cfg; add it, or leave --package out")
    if flags.config_dir is not None and not Path(flags.config_dir).is_dir():
        raise ConfigError(f"--config-dir: there is no folder {flags.config_dir!r}; name one with yaml files")
    groups = {parent for group in list_groups() for parent in _list_parents(group)}
    for override in OverridesParser.create().parse_overrides(flags.overrides):
        if override.key_or_group in groups:
            _refuse_no_option(override)


def check_job(config: DictConfig, number: int = 0, loops: Collection[str] = tuple(LOOPS)) -> None:
    """Refuse a composed configuration, with its node `hydra`, that the command or the chosen loop cannot use.

    Raises:
        ConfigError: A key is not read by the loop, or a key or value is wrong.
        OmegaConfBaseException: A value refers to something that does not exist.
        FactsError: The folder of the job holds facts that cannot be read.
    """
    with _pretend_to_run(config, number) as cfg:
        start = HydraConfig.get()
        loop = start.runtime.choices.get("loop") or ""
        choose(loop, dict.fromkeys(loops), "loop")
        require(not OmegaConf.is_config(cfg.name), "name", "a text", cfg.name)
        # On the command line it is gone by now: it stands for other arguments.
        require(cfg.resume is None, "resume", "given on the command line, as resume=<run dir>", cfg.resume)
        env = parse_config(EnvConfig, OmegaConf.to_container(cfg.env, resolve=True), "env")
        if number == 0 and _find_named_folder(config, number) is None:
            check_user(env, OmegaConf.to_container(cfg.env, resolve=False))
        if loop in LOOPS:
            refuse_unread(start.overrides.task, loop, cfg)
            if number == 0:
                _warn_of_unread(cfg, start.runtime.choices)
            folder = _find_named_folder(config, number)
            known = cfg if folder is None else restore_defaults(cfg, folder, list_typed(start.overrides.task))
            LOOPS[loop].load().parse(known)


def refuse_unread(overrides: Sequence[str], loop: str, cfg: DictConfig) -> None:
    """Refuse an override of a key that `loop` does not read; keys that are merely composed may be for other loops.

    Raises:
        ConfigError: There is such a key.
    """
    reads = (*COMMAND_KEYS, *LOOPS[loop].list_keys(cfg.get("task")))
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        for key in _list_keys(override):
            if (moved := describe_moved(key)) is not None:
                raise ConfigError(moved)
            if is_below(key, reads) or _is_group_of_other_keys(override, key, cfg):
                continue
            readers = _name_readers(key)
            known = [leaf for leaf in list_leaves(OmegaConf.to_container(cfg)) if is_below(leaf, reads)]
            if readers:
                # A key of another loop is no typing error; at most it stands at the place that it has there.
                known = [leaf for leaf in known if leaf.rpartition(".")[2] == key.rpartition(".")[2]]
            raise ConfigError(
                f"{key}: nothing of loop {loop!r}{_describe_task(cfg)} reads this key{readers}; "
                f"it reads {', '.join(sorted(reads))}"
                f"{hint_nearest(key, known)}"
            )
    for key in MOVED_KEYS:
        if key.startswith("phase1.") and OmegaConf.select(cfg, key) is not None:
            raise ConfigError(f"{describe_moved(key)} (a file of the configuration sets it)")


def _name_readers(key: str) -> str:
    """Return which loops would read a key, for a message."""
    readers = [f"loop={name}" for name in find_readers(key)]
    return f" ({' and '.join(readers)} would)" if readers else ""


def _describe_task(cfg: DictConfig) -> str:
    return f" with task {cfg.task!r}" if "task" in cfg else ""


def _warn_of_unread(cfg: DictConfig, choices: Mapping[str, str | None]) -> None:
    """Warn of keys in files that no loop reads and that are no chosen group, as a typo in an experiment makes them."""
    known = (*COMMAND_KEYS, "run_dir", *(key for loop in LOOPS.values() for key in loop.all_keys))
    known += tuple(group.replace("/", ".") for group in choices)
    for key in [str(key) for key in cfg] + [f"phase1.{key}" for key in cfg.get("phase1") or ()]:
        if not any(is_below(key, (name,)) or is_below(name, (key,)) for name in known):
            log.warning("%s: no loop of ours reads this key of the configuration", key)


@contextmanager
def _pretend_to_run(config: DictConfig, number: int) -> Iterator[DictConfig]:
    """Give the configuration as a job would see it, without claiming its folder."""
    pretended = copy.deepcopy(config)
    with read_write(pretended), open_dict(pretended):
        pretended.hydra.runtime.output_dir = "."
        pretended.hydra.job.num, pretended.hydra.job.id = number, str(number)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(pretended)
    with read_write(pretended), open_dict(pretended):
        del pretended["hydra"]
    try:
        yield pretended
    finally:
        HydraConfig.instance().cfg = before


def _find_named_folder(config: DictConfig, number: int) -> Path | None:
    """Return the folder of a job that the user named; None for a default folder, which is not claimed yet."""
    hydra = config.hydra
    named = [override.partition("=")[0].lstrip("+") for override in hydra.overrides.hydra]
    if hydra.mode == RunMode.MULTIRUN:
        # The name of a job is fixed: `_started` and the table of jobs rely on it.
        return Path(hydra.sweep.dir) / f"{number:03d}" if "hydra.sweep.dir" in named else None
    return Path(hydra.run.dir) if "hydra.run.dir" in named else None


def _list_parents(group: str) -> list[str]:
    parts = group.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _refuse_no_option(override: Override) -> None:
    group = override.key_or_group
    # A pattern finds names of options, and a deleted group has no value.
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP or override.is_delete():
        return
    values = override.sweep_iterator() if override.is_discrete_sweep() else [override.value()]
    for value in values:
        # A mapping is merged into the group, and an experiment is the one group that may be null.
        if isinstance(value, bool | int | float) or (value is None and group != "phase1/experiment"):
            options = ", ".join(list_groups().get(group, ()))
            remedy = f"available: {options}" if options else f"set one of its keys, as in {group}.key=value"
            raise ConfigError(f"{group}: {value!r} is no option of this group; {remedy}")


def list_typed(overrides: Sequence[str]) -> list[str]:
    """Return the full keys that overrides set; the choice of a file for a group sets none."""
    choices = HydraConfig.get().runtime.choices
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [key for override in parsed for key in _list_keys(override) if override.key_or_group not in choices]


def _list_keys(override: Override) -> list[str]:
    """Return the full keys that an override sets; a mapping sets those inside it."""
    key = (override.package or override.key_or_group).replace("/", ".")
    value = override.value()
    return list_leaves(value, key) if isinstance(value, Mapping) else [key]


def _is_group_of_other_keys(override: Override, key: str, cfg: DictConfig) -> bool:
    """Say whether a group was chosen whose file puts nothing below its own name, as an experiment does."""
    is_group = override.key_or_group in HydraConfig.get().runtime.choices
    return is_group and OmegaConf.select(cfg, key) is None
