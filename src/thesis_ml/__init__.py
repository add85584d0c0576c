"""Autoencoders and tokenizers of collider events."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesis_ml.tokenizer.load import load_tokenizer as load_tokenizer

__all__ = ["load_tokenizer"]


def __getattr__(name: str) -> Any:
    """Import what the package offers at its top when it is first asked for: torch takes seconds."""
    if name in __all__:
        from thesis_ml.tokenizer.load import load_tokenizer

        return load_tokenizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
