"""Names as text."""

from collections.abc import Sequence


def join_names(names: Sequence[str]) -> str:
    """Return names as a list in words; semicolons part those that have commas of their own."""
    comma = "; " if any("," in name for name in names) else ", "
    if len(names) < 2:
        return "".join(names)
    return f"{comma.join(names[:-1])}{';' if comma == '; ' else ''} and {names[-1]}"
