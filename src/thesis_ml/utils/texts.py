"""Make texts safe: untrusted ones to show, such as names in a run folder, and any as the value of an override."""

import re


def make_printable(text: str) -> str:
    """Return the text with a question mark for each control or unprintable character."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def quote_value(text: str) -> str:
    """Return a text as a quoted value of an override, so that blanks, commas and brackets are taken literally."""
    escaped = text.replace("${", "\\${")
    # In Hydra's quoted values a backslash is an escape only in front of a quote.
    return "'" + re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + ("\\'" if match[2] else ""), escaped) + "'"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an s unless there is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
