"""Read untrusted yaml: small, without aliases, and only plain values."""

from pathlib import Path
from typing import Any

import yaml

MAX_YAML_BYTES = 2**20
MAX_DEPTH = 50

# The parser in C is ten times faster; not every installation has it.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_plain_yaml(path: Path, most_bytes: int = MAX_YAML_BYTES) -> Any:
    """Return the content of a yaml file.

    Raises:
        ValueError: The file is too large or nested too deeply, uses aliases, which can unfold to any size, or is no
            yaml of plain values.
        OSError: It cannot be read.
    """
    # A pipe of that name would block the reader for ever.
    if path.exists() and not path.is_file():
        raise ValueError("is no file")
    with path.open("rb") as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"larger than {most_bytes} bytes")
    try:
        _refuse_unfolding(data)
        return yaml.load(data, Loader=LOADER)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        # Values that look like numbers, times or truth values and are none make yaml raise many kinds of errors.
        raise ValueError(" ".join(str(error).split())[:200]) from None


def _refuse_unfolding(data: bytes) -> None:
    """Check size, depth and aliases of the file before anything is built from it."""
    depth = 0
    for event in yaml.parse(data, Loader=LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("uses aliases, which are not read")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
