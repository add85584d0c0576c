"""The words of a command line before Hydra reads them: options that swallow a key, and paths that begin with ~."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser

from thesis_ml.cli.groups import find_full_keys
from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import expand_home
from thesis_ml.utils.texts import quote_value

HOME_PATH = re.compile(r"(?<=[=\[,])~[^,\[\]]*")
UNEXPANDED = ("hydra.", "env.")
"""Keys whose values Hydra itself uses as paths, without expanding ~."""


def check_words(arguments: Sequence[str], folder: str = ".") -> None:
    """Refuse words that argparse or Hydra would take for something else than what was meant.

    Args:
        arguments: The command line.
        folder: The folder below configs/ with the keys of the command.

    Raises:
        ConfigError: A word is no option, is no key=value, or is a key that an option would swallow.
    """
    words = list(arguments)
    while words:
        word = words.pop(0)
        following = words[0] if words and not words[0].startswith("-") and "=" not in words[0] else ""
        if word == "--" or (not word.startswith("-") and ("=" in word or word.startswith("~"))):
            continue
        if not word.startswith("-"):
            raise ConfigError(f"{word}: there is no value; write {_suggest(word, following, folder)}")
        option = _find_option(word.partition("=")[0])
        if option is None:
            raise _refuse_option(word, following, folder)
        if option.nargs in (None, "?"):
            value = (
                word.partition("=")[2]
                if "=" in word
                else (words.pop(0) if words and not words[0].startswith("-") else "")
            )
            if "=" in value and not Path(value).exists():
                name = word.partition("=")[0]
                raise ConfigError(f"{name}: would take {value!r} for its own value; give {name} one, or leave it out")


def quote_homes(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with quotes around paths that begin with ~, which Hydra cannot read without them."""
    return [_quote_home(word) for word in arguments]


def _quote_home(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals or word.startswith("-") or re.search("['\"]", value):
        return word
    expands = key.lstrip("+").startswith(UNEXPANDED)

    def quote(match: re.Match[str]) -> str:
        return quote_value(str(expand_home(match[0])) if expands else match[0])

    return key + HOME_PATH.sub(quote, equals + value)


def _find_option(name: str) -> argparse.Action | None:
    """Return the option called `name`; a long one may be shortened."""
    options = {text: action for action in get_args_parser()._actions for text in action.option_strings}
    if name in options:
        return options[name]
    near = [action for text, action in options.items() if name.startswith("--") and text.startswith(name)]
    return near[0] if len(name) > 2 and near else None


def _refuse_option(word: str, following: str, folder: str) -> ConfigError:
    name, equals, value = word.partition("=")
    key = name.lstrip("-")
    if equals or following or find_full_keys(key, folder):
        remedy = f"; write {_suggest(key, value if equals else following, folder)}"
    else:
        options = [text for action in get_args_parser()._actions for text in action.option_strings]
        remedy = hint_nearest(name, options) or "; see --help"
    return ConfigError(f"{name}: is no option of this command{remedy}")


def _suggest(key: str, value: str, folder: str) -> str:
    """Return `key=value` with the full key, where only one key ends so, else with the key as typed."""
    found = find_full_keys(key, folder)
    shown = [key] if key in found or not found else found[:3]
    return " or ".join(f"{full}={value or '...'}" for full in shown)
