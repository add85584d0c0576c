"""Texts of others, such as names in a run folder, made fit to be shown."""


def make_printable(text: str) -> str:
    """Return the text with each character that a terminal would obey, or cannot show, replaced by a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
