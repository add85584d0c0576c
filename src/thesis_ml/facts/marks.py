"""What a user says of a run: tags, a note, and whether it is stale; beside its facts, which never change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.utils.files import replace_file
from thesis_ml.utils.paths import MARKS_FILE, stays_inside
from thesis_ml.utils.plain_yaml import read_plain_yaml

LONGEST_TAG, MOST_TAGS, LONGEST_NOTE = 40, 50, 2000


@dataclass(frozen=True)
class Marks:
    """The marks of a run."""

    tags: tuple[str, ...] = ()
    note: str = ""
    is_stale: bool = False


def read_marks(run: Path, *, is_strict: bool = False) -> Marks:
    """Return the marks of a run; damaged ones count as none, because a run is listed without them too.

    Raises:
        FactsError: They are damaged, and `is_strict` asks for whole ones: they would be lost by a change.
    """
    path = run / MARKS_FILE
    values, problem = None, "is no mapping"
    try:
        values = read_plain_yaml(path) if path.is_file() and stays_inside(path, run) else {}
    except (OSError, ValueError) as error:
        problem = f"cannot be read ({error})"
    if not isinstance(values, dict):
        if is_strict:
            raise FactsError(f"{path}: {problem}; mend or remove it")
        return Marks()
    tags, note = values.get("tags"), values.get("note")
    texts = [tag[:LONGEST_TAG] for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    shown = note[:LONGEST_NOTE] if isinstance(note, str) else ""
    return Marks(tuple(dict.fromkeys(texts))[:MOST_TAGS], shown, values.get("stale") is True)


def change_tags(marks: Marks, added: Sequence[str], removed: Sequence[str]) -> Marks:
    """Return marks with other tags.

    Raises:
        ConfigError: A tag is blank, too long, or holds a comma, or there are too many.
    """
    for tag in added:
        if not tag.strip() or len(tag) > LONGEST_TAG or "," in tag or not tag.isprintable():
            raise ConfigError(f"tag: {tag[:60]!r} is none; use 1 to {LONGEST_TAG} printable letters without a comma")
    tags = tuple(dict.fromkeys((*(tag for tag in marks.tags if tag not in removed), *added)))
    if len(tags) > MOST_TAGS:
        raise ConfigError(f"tag: a run has at most {MOST_TAGS} tags; remove one with --remove")
    return replace(marks, tags=tags)


def write_marks(run: Path, marks: Marks) -> None:
    """Write the marks of a run, or remove their file where none is left.

    Raises:
        ConfigError: The note is too long.
        FactsError: The folder cannot be written.
    """
    path = run / MARKS_FILE
    if len(marks.note) > LONGEST_NOTE:
        raise ConfigError(f"note: has {len(marks.note)} letters; at most {LONGEST_NOTE}")
    try:
        if marks == Marks():
            path.unlink(missing_ok=True)
            return
        values = {"tags": list(marks.tags), "note": marks.note, "stale": marks.is_stale}
        with replace_file(path) as stream:
            stream.write(yaml.safe_dump(values, allow_unicode=True, sort_keys=False).encode())
    except OSError as error:
        raise FactsError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
