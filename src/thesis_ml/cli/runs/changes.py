"""thesis-runs tag, note, mark, du, archive, rm and prune: what changes run folders, and what they take."""

from collections.abc import Callable
from pathlib import Path

from thesis_ml.cli.runs.lookup import Chosen
from thesis_ml.cli.runs.output import Form, print_rows
from thesis_ml.facts.marks import Marks, read_marks, write_marks
from thesis_ml.runs.trash import explain_lock, explain_use, list_prunable, measure_space, move_run
from thesis_ml.utils.paths import TRASH_FOLDER
from thesis_ml.utils.texts import count, make_printable

MIB = 2**20


def change_marks(runs: Chosen, change: Callable[[Marks], Marks]) -> None:
    """Change the marks of runs, and print what they are now."""
    for row, folder in runs:
        marks = change(read_marks(folder, is_strict=True))
        write_marks(folder, marks)
        shown = [*marks.tags, *(["stale"] if marks.is_stale else []), *([marks.note] if marks.note else [])]
        print(make_printable(f"{row.name}: {', '.join(shown) or 'no tags'}"))


def print_space(runs: Chosen, form: Form, limit: int) -> None:
    """Print what takes the space, the largest first."""
    spaces = sorted(((measure_space(folder), row) for row, folder in runs), key=lambda pair: -pair[0].total)
    rows = [
        {
            "name": row.name,
            "MiB": space.total / MIB,
            "checkpoints": space.checkpoints / MIB,
            "figures": space.figures / MIB,
            "facts": space.facts / MIB,
            "others": space.others / MIB,
        }
        for space, row in spaces
    ]
    print_rows(rows[: limit or None], ("name", "MiB", "checkpoints", "figures", "facts", "others"), form)
    if form is Form.TABLE:
        total = sum(space.total for space, _ in spaces)
        print(f"{total / MIB:,.1f} MiB in {count(len(spaces), 'run')}; prune --checkpoints keeps the best weights only")


def move_all(runs: Chosen, root: Path, folder: str, *, is_forced: bool, does_it: bool) -> int:
    """Move runs below a folder of the output folder, or say what would be moved; return how many are refused."""
    n_refused = n_moved = 0
    for row, path in runs:
        # Force is for runs that something else uses; a live run is never moved.
        reason = "it is running" if row.state == "running" else explain_lock(path) if is_forced else explain_use(path)
        if f"{row.path}/".startswith(f"{folder}/"):
            reason = f"it lies in {folder} already"
        if reason is not None:
            n_refused += 1
            print(make_printable(f"kept {row.name}: {reason}"))
            continue
        n_moved += 1
        target = move_run(path, root, folder) if does_it else root / folder / row.path
        print(make_printable(f"{'moved' if does_it else 'would move'} {row.name} to {target}"))
    if not does_it and n_moved:
        print(f"nothing is moved yet; add --yes to move {count(n_moved, 'run')}")
    if does_it and folder == TRASH_FOLDER and n_moved:
        print(f"they can come back from {root / TRASH_FOLDER}; rm --empty removes them for good")
    return n_refused


def prune_all(runs: Chosen, *, does_it: bool) -> None:
    """Remove the checkpoints of complete runs that only a resume needs, or say what would be removed."""
    freed = n_files = 0
    for row, folder in runs:
        if row.state != "complete" or explain_lock(folder) is not None:
            continue
        for path, size in list_prunable(folder).items():
            freed, n_files = freed + size, n_files + 1
            if does_it:
                path.unlink(missing_ok=True)
    done = "removed" if does_it else "would remove"
    print(f"{done} {count(n_files, 'checkpoint')} of complete runs, {freed / MIB:,.1f} MiB")
    if n_files and not does_it:
        print("nothing is removed yet; add --yes. These runs can then no longer be extended by more epochs")
