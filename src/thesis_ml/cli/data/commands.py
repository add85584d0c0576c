"""What thesis-data runs: from the plain values of a recipe to the lines on the terminal."""

from collections.abc import Mapping
from typing import Any

from thesis_ml.config import hint_nearest, parse_config
from thesis_ml.data.convert.config import ConvertConfig
from thesis_ml.data.convert.decisions import describe_decisions
from thesis_ml.data.convert.inspect import inspect_file
from thesis_ml.data.convert.run import convert
from thesis_ml.errors import ConfigError


def run_convert(values: Any) -> None:
    """Convert files as a recipe says, and print what was decided.

    Raises:
        ConfigError: A key is wrong.
        DataError: A file cannot be converted.
    """
    _refuse_unknown_objects(values.get("objects"))
    config = parse_config(ConvertConfig, values, "")
    decisions = convert(config)
    print(describe_decisions(decisions))
    print(f"written: {config.output}; train on it with thesis-train data=h5_tokens data.path={config.output}")


def _refuse_unknown_objects(objects: Any) -> None:
    """Refuse a name that is no type of object of the recipe, and no whole new one either."""
    known = [name for name, one in (objects or {}).items() if isinstance(one, Mapping) and "id" in one]
    for name, one in (objects or {}).items():
        if name not in known and isinstance(one, Mapping):
            hint = hint_nearest(str(name), known)
            raise ConfigError(f"objects.{name}: is no type of this recipe, and a new one needs an id{hint}")


def run_inspect(values: Any) -> None:
    """Print what a file is, and the line that converts it.

    Raises:
        ConfigError: `inputs` names no file.
        DataError: The file cannot be read.
    """
    print(inspect_file(values.get("inputs")))
