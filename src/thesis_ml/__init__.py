"""Autoencoders and tokenizers of collider events."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesis_ml.runs.frame import read_runs as read_runs
    from thesis_ml.tokenizer.load import load_tokenizer as load_tokenizer

__all__ = ["load_tokenizer", "read_runs"]

_MODULES = {"load_tokenizer": "thesis_ml.tokenizer.load", "read_runs": "thesis_ml.runs.frame"}


def __getattr__(name: str) -> Any:
    """Import what the package offers at its top when it is first asked for: torch takes seconds."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
