"""Autoencoders and tokenizers of collider events."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesis_ml.api.run import Run as Run
    from thesis_ml.api.start import report as report
    from thesis_ml.api.start import train as train
    from thesis_ml.runs.frame import read_runs as read_runs
    from thesis_ml.tokenizer.load import load_tokenizer as load_tokenizer

_PLACES = {
    "Run": "thesis_ml.api.run",
    "load_tokenizer": "thesis_ml.tokenizer.load",
    "read_runs": "thesis_ml.runs.frame",
    "report": "thesis_ml.api.start",
    "train": "thesis_ml.api.start",
}

__all__ = ["Run", "load_tokenizer", "read_runs", "report", "train"]


def __getattr__(name: str) -> Any:
    """Import what the package offers at its top when it is first asked for: torch takes seconds."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
