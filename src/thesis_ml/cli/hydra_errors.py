"""Turn errors of Hydra and OmegaConf into one message: the full key, the allowed values, the nearest name.

Nothing is composed again for it: the errors hold the part of the configuration in which a key was not found.
"""

import re
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, ConfigTypeError, OmegaConfBaseException

from thesis_ml.cli.groups import list_bases, list_groups
from thesis_ml.cli.keys import MOVED_KEYS, describe_moved
from thesis_ml.config import hint_nearest
from thesis_ml.training_loops.registry import find_owner, find_readers
from thesis_ml.utils.paths import find_configs

QUOTE_HINT = "write key=value, a list as key=[1,2], and quote a text with spaces or commas twice: 'key=\"a, b\"'"


def describe_error(error: BaseException) -> str:
    """Return the message of `error`; those of Hydra in our own form."""
    cause = error.__cause__
    if isinstance(error, OverrideParseException):
        return _describe_syntax(error)
    if isinstance(error, MissingConfigException):
        return _describe_missing_file(error)
    if isinstance(error, ConfigCompositionException) and isinstance(cause, ConfigAttributeError | ConfigKeyError):
        typed = re.search(r"Could not override '([^']*)'", str(error))
        return _describe_unknown_key(cause, typed[1] if typed else "")
    if isinstance(error, OmegaConfBaseException):
        return _describe_value(error)
    if isinstance(error, HydraException) and isinstance(cause, OmegaConfBaseException):
        return _describe_value(cause)
    if isinstance(error, ConfigCompositionException):
        return _describe_composition(str(error))
    return join_lines(str(error))


def join_lines(text: str) -> str:
    """Return `text` on one line, without Hydra's references to its web pages."""
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith("See https://"))


def list_leaves(values: Any, prefix: str = "") -> list[str]:
    """Return the full key of every value in nested mappings; an empty mapping is a value."""
    if not isinstance(values, Mapping) or not values:
        return [prefix] if prefix else []
    start = f"{prefix}." if prefix else ""
    return [leaf for key, value in values.items() for leaf in list_leaves(value, f"{start}{key}")]


def _describe_syntax(error: OverrideParseException) -> str:
    if "missing EQUAL" in error.message:
        return f"{error.override}: there is no value; write {error.override}=..."
    # thesis-data puts ++ before keys itself.
    shown = error.override.removeprefix("++")
    reason = join_lines(error.message.removeprefix(f"Error parsing override '{error.override}'"))
    remedy = _quote_whole(shown) or QUOTE_HINT
    return f"{shown}: cannot be read ({reason.replace(error.override, shown)}); {remedy}"


def _quote_whole(override: str) -> str:
    """Return what to write for a single text with characters that Hydra reads only within quotes, such as # and é."""
    key, equals, value = override.partition("=")
    if not equals or any(sign in value for sign in "[]{},'\"\\$"):
        return ""
    quoted = f'{key}="{value}"'
    try:
        OverridesParser.create().parse_overrides([quoted])
    except HydraException:
        return ""
    return f"quote it twice: '{quoted}'"


def _describe_missing_file(error: MissingConfigException) -> str:
    """Say which options a group has, or which configurations there are when the main one is missing."""
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if error.options is None:
        available = sorted(path.stem for path in find_configs().glob("*.yaml"))
        named = re.match(r"In '(?P<file>[^']*)'", str(error))
        where = f"{named['file']}.yaml: defaults" if named else "--config-name"
        return f"{where}: unknown name {option!r}; available: {', '.join(available)}{hint_nearest(option, available)}"
    # Hydra's own configuration is an option of the group `hydra` by accident.
    options = [name for name in error.options if (group, name) != ("hydra", "config")]
    return f"{group}: unknown option {option!r}; available: {', '.join(options)}{hint_nearest(option, options)}"


def _describe_unknown_key(error: OmegaConfBaseException, typed: str) -> str:
    full_key = str(error.full_key or error.key)
    if (moved := describe_moved(full_key)) is not None:
        return moved
    if "/" in full_key:
        return _describe_unknown_group(full_key)
    parent, _, key = full_key.rpartition(".")
    if not parent and (readers := find_readers(key)):
        return f"{typed}: only loop={readers[0]} has this key; add loop={readers[0]}"
    if not isinstance(error.parent_node, DictConfig) or not len(error.parent_node):
        return f"{full_key}: {parent} is a value and has no keys; set {parent} itself"
    top_groups = {group.partition("/")[0] for group in list_groups()} if not parent else set()
    allowed = sorted(({str(name) for name in error.parent_node} | top_groups) - set(MOVED_KEYS))
    hint = _hint_option(parent, key) or hint_nearest(key, allowed)
    hint = hint or ("" if parent else _hint_elsewhere(typed, error.parent_node))
    return f"{full_key}: unknown key; allowed: {', '.join(allowed)}{hint}"


def _describe_unknown_group(group: str) -> str:
    groups = list_groups()
    return f"{group}: unknown group; available: {', '.join(groups)}{hint_nearest(group, groups)}"


def _hint_option(parent: str, key: str) -> str:
    """Return which other options of the group at `parent` have `key`, and the loop that chooses them by itself."""
    group = parent.replace(".", "/")
    options = [option for option in list_groups().get(group, ()) if _has_key(group, option, key)]
    named = [f"{group}={option}{_name_loop(group, option)}" for option in options]
    return f"; {' and '.join(named)} {'has' if len(named) == 1 else 'have'} it" if named else ""


def _has_key(group: str, option: str, key: str) -> bool:
    contents = [OmegaConf.load(path) for path in list_bases(group, option)]
    return any(isinstance(content, DictConfig) and key in content for content in contents)


def _name_loop(group: str, option: str) -> str:
    """Return the loop that alone takes an option, for a message."""
    loop = find_owner(group, option)
    return f" (of loop={loop})" if loop else ""


def _hint_elsewhere(typed: str, root: DictConfig) -> str:
    """Return `; did you mean ...?` for a key that was typed without the groups it lies in, or with others."""
    leaves = [leaf for leaf in list_leaves(OmegaConf.to_container(root)) if not leaf.startswith("hydra.")]
    same = [leaf for leaf in leaves if leaf.rpartition(".")[2] == typed.rpartition(".")[2]]
    return f"; did you mean {' or '.join(map(repr, same))}?" if same else ""


def _describe_value(error: OmegaConfBaseException) -> str:
    if isinstance(error, ConfigTypeError) and str(error.msg).startswith("Cannot merge DictConfig with ListConfig"):
        return _describe_other_kind(error)
    reason = join_lines(str(error.msg or error).partition("\n    full_key:")[0])
    reason = re.sub(r"^\w+ raised while resolving interpolation: (.*)$", r"\1", reason).strip('"')
    return f"{error.full_key}: {reason}; see {error.full_key} in --cfg job" if error.full_key else reason


def _describe_other_kind(error: ConfigTypeError) -> str:
    """Return the error of a key that was given a list instead of keys, or keys instead of a list."""
    holds, key = error.parent_node, error.full_key
    if isinstance(holds, DictConfig):
        names = sorted(str(name) for name in holds)
        example = f"; set one of them, as in {key}.{names[0]}=..." if names else ""
        return f"{key}: expected a group of keys ({', '.join(names)}), got a list{example}"
    written = OmegaConf.to_container(holds) if isinstance(holds, ListConfig) else [1, 2]
    return f"{key}: expected a list such as {written}, got a group of keys"


REWRITTEN = (
    (
        r"Ambiguous value for argument '(?P<line>.*)'\n",
        "{line}: several values for one run; add --multirun to sweep over them, or write a list as [1,2] and quote a "
        "text twice: 'key=\"a, b\"'",
    ),
    (
        r"Sweep parameters '(?P<line>.*)' requires --multirun",
        "{line}: several values for one run; add --multirun to sweep over them",
    ),
    (
        r"Sweeping over Hydra's configuration is not supported : '(?P<line>.*)'",
        "{line}: keys of Hydra cannot be swept; give one value",
    ),
    (
        r"Could not append to config. An item is already at '(?P<line>[^']*)'",
        "{line}: exists already; leave out the + before it",
    ),
    (
        r"Could not delete from config\. '(?P<line>[^']*)' does not exist",
        "{line}: there is no such key to remove; leave it out",
    ),
)
"""Messages of Hydra that spread over several lines or name no remedy, and ours."""


def _describe_composition(text: str) -> str:
    for pattern, message in REWRITTEN:
        if match := re.search(pattern, text):
            return message.format(line=match["line"])
    if match := re.search(r"Could not override '(?P<group>[^']*)'", text):
        return _describe_unknown_group(match["group"])
    return join_lines(text)
