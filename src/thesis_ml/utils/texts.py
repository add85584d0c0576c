"""Make untrusted texts, such as names in a run folder, safe to show."""


def make_printable(text: str) -> str:
    """Return the text with a question mark for each control or unprintable character."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
