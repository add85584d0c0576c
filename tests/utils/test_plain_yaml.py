"""Yaml of somebody else is read when it is small and plain, and refused before anything is built from it."""

from pathlib import Path

import pytest

from thesis_ml.utils.plain_yaml import read_plain_yaml


def read(tmp_path: Path, text: str) -> object:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    return read_plain_yaml(tmp_path / "x.yaml")


def test_plain_values_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a: [1, 2.5, x]\nb: {c: null}") == {"a": [1, 2.5, "x"], "b": {"c": None}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("!!python/object/apply:os.getcwd []", "constructor"),
        ("a: &x 1\nb: *x", "aliases"),
        ("[" * 60 + "]" * 60, "nested deeper than 50|nesting depth"),
        ("[" * 500_000, "nested deeper than 50|nesting depth"),
        ("x" * (2**20 + 1), "larger than"),
        ("a: b: c", "mapping values"),
        ("!!bool x", "x"),
        ("!!int ''", "index"),
        ("!!timestamp x", "groupdict"),
        ("2001-99-99", "month"),
        ("\x00", "x00"),
    ],
)
def test_anything_else_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=reason):
        read(tmp_path, text)


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plain_yaml(tmp_path / "none.yaml")
