"""Make text from runs harmless in tex and csv; html is escaped by its templates."""

import re
import unicodedata

PRINTABLE = frozenset(map(chr, range(0xC0, 0x100))) - frozenset("ÐÞðþ×÷") | {"µ"}
"""Beyond ASCII, what latex prints with its default fonts and no package."""

TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "±": r"\ensuremath{\pm}",
}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


def escape_tex(text: str) -> str:
    """Return `text` so that tex prints it instead of obeying it."""
    return "".join(TEX.get(character) or _spell(character) for character in strip_controls(text))


def guard_csv(text: str) -> str:
    """Return `text` so that a spreadsheet shows it instead of computing it."""
    plain = strip_controls(text)
    return f"'{plain}" if plain.lstrip().startswith(("=", "+", "-", "@")) else plain


def strip_controls(text: str) -> str:
    """Return `text` on one line: control characters, those that turn the writing and half characters become a space."""
    return _UNPRINTABLE.sub(" ", text)


def _spell(character: str) -> str:
    """Return what a plain pdflatex can print of a character: Latin letters as they are, others as their base or `?`."""
    if character.isascii() or character in PRINTABLE:
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(TEX.get(letter, letter) for letter in plain) or "?"
