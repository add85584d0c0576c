"""Text from runs is shown, never obeyed."""

import pytest

from thesis_ml.reports.utils.escape import escape_tex, guard_csv, strip_controls


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("latent_space=vq & 50% #1 $x$", r"latent\_space=vq \& 50\% \#1 \$x\$"),
        ("a~b^c<d>|e|", r"a\textasciitilde{}b\textasciicircum{}c\textless{}d\textgreater{}\textbar{}e\textbar{}"),
        ("two\nlines", "two lines"),
        ('say "é µ ﬁ \u03b2 \uff04"', r"say {''}é µ fi ? \${''}"),
    ],
)
def test_escape_tex_prints_every_character(text: str, escaped: str) -> None:
    assert escape_tex(text) == escaped


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1+2", "@SUM(A1)", "  =x", "\t=x", "\r=x"])
def test_guard_csv_leaves_no_formula(text: str) -> None:
    assert guard_csv(text).startswith("'")


def test_guard_csv_leaves_names_alone() -> None:
    assert guard_csv("vq, codebook_size=512") == "vq, codebook_size=512"


def test_strip_controls_removes_what_hides_text() -> None:
    assert strip_controls("a\x00b\u202ec\x1b[31m") == "a b c [31m"
