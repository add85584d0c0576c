"""Names as text: joined, and shortened."""

from collections.abc import Sequence


def join_names(names: Sequence[str]) -> str:
    """Return names as a list in words; semicolons part those that have commas of their own."""
    comma = "; " if any("," in name for name in names) else ", "
    if len(names) < 2:
        return "".join(names)
    return f"{comma.join(names[:-1])}{';' if comma == '; ' else ''} and {names[-1]}"


def join_some(names: Sequence[str], most: int) -> str:
    """Return at most so many names as a list in words, with the number of those left out."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return join_names([*names[:most], *more])


def join_groups(labels: Sequence[str]) -> str:
    """Return the labels of groups as a list in words; the group none is quoted, as it reads like a missing value."""
    return join_names(quote_none(labels))


def quote_none(labels: Sequence[str]) -> list[str]:
    """Return labels with quotes around none."""
    return ["'none'" if label == "none" else label for label in labels]


def shorten(text: str, letters: int) -> str:
    """Return a text shortened to `letters` letters by cutting its middle; 0: unchanged."""
    if not letters or len(text) <= letters:
        return text
    tail = letters // 2
    return f"{text[: letters - tail - 1]}…{text[-tail:]}"
