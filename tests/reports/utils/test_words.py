"""Names with commas of their own are parted by semicolons."""

import pytest

from thesis_ml.reports.utils.words import join_names


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["vq"], "vq"),
        (["none", "vq"], "none and vq"),
        (["none", "linear", "vq"], "none, linear and vq"),
        (["vq, lr 1", "none", "vq"], "vq, lr 1; none; and vq"),
    ],
)
def test_names_are_joined(names: list[str], text: str) -> None:
    assert join_names(names) == text
