"""The whole configurations of a command, one of which `--config-name` chooses."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from thesis_ml.cli.arguments import check_words
from thesis_ml.cli.groups import OTHER_COMMANDS
from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import find_configs

OUR_HYDRA = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=stdout")
"""Hydra itself writes nothing, also for a user's own file that says nothing of it."""

_config_dirs: list[Path] = []
"""What `--config-dir` of the command names; a start from Python has no command line."""


@dataclass(frozen=True)
class NamedConfigs:
    """The configurations in one folder of configs/, and those of `--config-dir`.

    Args:
        command: Its name.
        folder: Its name below configs/.
        one_job: Why `--multirun` makes no sense.
        place: Where its output goes.
    """

    command: str
    folder: str
    one_job: str
    place: str

    def list_names(self) -> list[str]:
        """Return the names that `--config-name` takes."""
        folders = [find_configs() / self.folder, *list_own_folders(self.folder)]
        return sorted({path.stem for folder in folders for path in folder.glob("[!_]*.yaml")})

    def check_command_line(self, arguments: Sequence[str]) -> None:
        """Refuse a start that chooses no configuration, or asks for more than one job.

        Raises:
            ConfigError: The name is missing or unknown, or a flag does not fit.
        """
        available = self.list_names()
        named = next((word for word in arguments if word in available), None)
        if named is not None and not any(word.startswith(("--config-n", "-cn")) for word in arguments):
            rest = [word for word in arguments if word != named]
            line = shlex.join([self.command, "--config-name", named, *rest])
            raise ConfigError(f"{named}: the name goes behind an option; write {line}")
        check_words(arguments, self.folder)
        flags = get_args_parser().parse_args(list(arguments))
        if flags.hydra_help or flags.shell_completion:
            return
        if flags.multirun:
            raise ConfigError(f"--multirun: {self.one_job}; leave it out")
        if flags.config_dir is not None and not Path(flags.config_dir).is_dir():
            raise ConfigError(f"--config-dir: there is no folder {flags.config_dir!r}; name one with yaml files")
        for word in flags.overrides:
            if re.match(r"hydra\.(run|sweep)\.dir=(?!\.$)", word):
                raise ConfigError(f"{word.partition('=')[0]}: this command does not use it; {self.place}")
        if flags.config_name is None:
            raise ConfigError(f"--config-name: missing; available: {', '.join(available)}")
        name = flags.config_name.removesuffix(".yaml")
        if name not in available:
            hint = hint_nearest(name, available)
            raise ConfigError(f"--config-name: unknown name {name!r}; available: {', '.join(available)}{hint}")


class SharedGroups(SearchPathPlugin):
    """Let configurations use the groups of thesis-train, such as `env`, and a user's own folder."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        own = [folder for name in OTHER_COMMANDS for folder in list_own_folders(name)]
        for provider, folder in (("thesis-ml", find_configs()), *(("user", path) for path in dict.fromkeys(own))):
            search_path.append(provider, f"file://{folder.resolve().as_posix()}")


Plugins.instance().register(SharedGroups)


def remember_config_dir(arguments: Sequence[str]) -> None:
    """Take the user's own folder from the arguments of a command, for `list_own_folders`."""
    own = get_args_parser().parse_known_args(list(arguments))[0].config_dir
    _config_dirs[:] = [] if own is None else [Path(own)]


def list_own_folders(folder: str) -> list[Path]:
    """Return the folders that `--config-dir` names: itself, and `folder` in one laid out like configs/."""
    return [path for own in _config_dirs for path in (own, own / folder)]


def add_overrides(arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Return the arguments with further overrides, which Hydra wants in one piece: behind those that were typed.

    A shell that completes a line passes the line, whose configuration is to be completed, in a variable.
    """
    completed = re.search(r"--config-name[= ](\S+)", os.environ.get("COMP_LINE", ""))
    if completed is not None and get_args_parser().parse_args(list(arguments)).shell_completion:
        return [*arguments, "--config-name", completed[1]]
    typed = get_args_parser().parse_args(list(arguments)).overrides
    place = len(arguments) - list(reversed(arguments)).index(typed[-1]) if typed else len(arguments)
    return [*arguments[:place], *overrides, *arguments[place:]]


@contextmanager
def name_top_keys() -> Iterator[None]:
    """Name a wrong key at the top by its neighbours, which are not those of thesis-train.

    Raises:
        ConfigError: There is such a key.
    """
    try:
        yield
    except ConfigCompositionException as error:
        if (message := _describe_top_key(error)) is not None:
            raise ConfigError(message) from error
        raise


def _describe_top_key(error: ConfigCompositionException) -> str | None:
    """Return the error of a key at the top, whose neighbours are not those of thesis-train."""
    cause = error.__cause__
    if not isinstance(cause, ConfigAttributeError | ConfigKeyError) or not isinstance(cause.parent_node, DictConfig):
        return None
    key = str(cause.full_key or cause.key)
    if "." in key or "/" in key:
        return None
    allowed = sorted(str(name) for name in cause.parent_node if name != "hydra")
    groups = {name: cause.parent_node._get_node(name) for name in allowed}
    below = [f"{name}.{key}" for name, group in groups.items() if isinstance(group, DictConfig) and key in group]
    hint = f"; did you mean {below[0]!r}?" if below else hint_nearest(key, allowed)
    return f"{key}: unknown key; allowed: {', '.join(allowed)}{hint}"
