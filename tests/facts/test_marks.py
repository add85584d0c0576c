"""Tags and notes lie beside the facts of a run, and damaged ones hide no run."""

from pathlib import Path

import pytest

from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.marks import Marks, change_tags, read_marks, write_marks


def test_marks_come_back_and_leave_nothing_when_they_are_taken_away(tmp_path: Path) -> None:
    marks = Marks(("ch5", "gut"), "für Kapitel 5", is_stale=True)

    write_marks(tmp_path, marks)
    assert read_marks(tmp_path) == marks
    write_marks(tmp_path, Marks())

    assert read_marks(tmp_path) == Marks() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["[", "note: a: b", "- a", "tags: 3\nnote: [1]", "&a [*a]", "tags: [1, {}]"])
def test_damaged_marks_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "marks.yaml").write_text(text, encoding="utf-8")

    assert read_marks(tmp_path) == Marks()


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".marks.yaml.tmp").symlink_to(tmp_path / "precious")

    write_marks(tmp_path / "run", Marks(("a",)))

    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine" and read_marks(tmp_path / "run").tags == ("a",)


def test_marks_that_a_change_would_lose_are_refused(tmp_path: Path) -> None:
    (tmp_path / "marks.yaml").write_text("note: see: page 3\n", encoding="utf-8")

    with pytest.raises(FactsError, match=r"marks\.yaml: cannot be read .*; mend or remove it"):
        read_marks(tmp_path, is_strict=True)


def test_tags_are_added_once_and_removed() -> None:
    marks = change_tags(Marks(("a",)), ["b", "a"], [])

    assert marks.tags == ("a", "b") and change_tags(marks, [], ["a", "c"]).tags == ("b",)


@pytest.mark.parametrize("tag", ["", " ", "a,b", "x" * 41, "a\nb"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(ConfigError, match=r"tag: .* is none; use 1 to 40 printable letters"):
        change_tags(Marks(), [tag], [])
