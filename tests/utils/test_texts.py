"""Texts of others are shown, not obeyed."""

import pytest

from thesis_ml.utils.texts import make_printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rec_mse 0.05 μ e+ é", "rec_mse 0.05 μ e+ é"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("one\ntwo\ttab\r", "one?two?tab?"),
        ("\u202egnp\ud800\x9b", "?gnp??"),
    ],
)
def test_make_printable_replaces_what_a_terminal_would_obey(text: str, shown: str) -> None:
    assert make_printable(text) == shown
