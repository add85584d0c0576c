"""Bars are for terminals only, and say how much time is left."""

import io

from thesis_ml.utils.progress import count_progress, show_progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_bar_counts_and_says_how_long_it_takes() -> None:
    stream = Terminal()

    with count_progress(4000, "event", stream) as count:
        for _ in range(4):
            count(1000)

    shown = stream.getvalue()
    assert "/4.00k [00:00<" in shown
    assert "event/s]" in shown


def test_no_terminal_gets_no_bar() -> None:
    stream = io.StringIO()

    with count_progress(3, "event", stream) as count:
        count(3)

    assert list(show_progress([1, 2], "run", stream)) == [1, 2]
    assert stream.getvalue() == ""
