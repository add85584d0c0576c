"""Convert files of an experiment: open, convert part by part, divide, write, and say what was decided."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from thesis_ml.config import parse_choice
from thesis_ml.data.checks import Place
from thesis_ml.data.convert.assemble import Assembler
from thesis_ml.data.convert.config import (
    DEFAULT_CLASS,
    SPLITS,
    ConvertConfig,
    ExtraConfig,
    find_inputs,
    list_type_names,
)
from thesis_ml.data.convert.decisions import Decisions, build_decisions, format_decisions
from thesis_ml.data.convert.parts import (
    InputFile,
    PartOverview,
    PartTask,
    is_complete,
    name_part,
    read_overview,
    read_part,
    try_part,
)
from thesis_ml.data.convert.readers.base import read_magic
from thesis_ml.data.convert.readers.registry import READERS
from thesis_ml.data.convert.samples import compare_samples
from thesis_ml.data.convert.splits import iterate_splits, plan_splits
from thesis_ml.data.events import keep_events
from thesis_ml.data.h5_trial import try_file
from thesis_ml.data.h5_writer import EventWriter, FileMeaning, Layout
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.utils.h5_writing import explain_failure
from thesis_ml.utils.paths import expand_home, hash_file
from thesis_ml.utils.progress import count_progress

SHEET_START = b"output: "
"""The first bytes of a sheet of decisions: only such a file is replaced."""
FEWEST_EVENTS = 3
LARGEST_TABLE_BYTES = 2 * 2**30
"""A larger table of 2 + 5T columns is written ragged, unless it is asked for."""

RunTasks = Callable[[Sequence[PartTask]], Iterator[ConfigError | DataError | None]]


def convert(config: ConvertConfig) -> Decisions:
    """Convert the files of `config.inputs` to `config.output`, and return what was decided on the way.

    The sheet of decisions is written beside the output, as yaml. Parts that were converted before a stop are kept in
    `<output>.parts`, and are not converted again by the same recipe.

    Raises:
        ConfigError: An input or the output cannot be used.
        DataError: A file cannot be converted, or the output not be written; no output is there then.
    """
    inputs = find_inputs(config.inputs)
    output = _choose_output(config, inputs)
    parts_folder = output.with_name(f"{output.name}.parts")
    files = _open_files(config, inputs, parts_folder)
    _name_labels(config, files)
    is_done = False
    try:
        parts_folder.mkdir(parents=True, exist_ok=True)
        files = _convert_files(config, files)
        for file in files:
            for task in file.tasks[:1]:
                task.reader.close()
        decisions = _merge(config, files, output)
        is_done = True
    except OSError as error:
        reason = explain_failure(error)
        raise DataError(f"{output}: cannot be written ({reason}); free space or choose another output") from error
    finally:
        # Kept only where a later start can use them.
        if is_done or not any(parts_folder.glob("*.npz")):
            _remove_parts(parts_folder)
    return decisions


def _remove_parts(folder: Path) -> None:
    """Remove our own files of a folder, and the folder when it holds nothing else."""
    with suppress(OSError):
        for path in (*folder.glob("*.npz"), *folder.glob("*.writing")):
            path.unlink(missing_ok=True)
        folder.rmdir()


def _choose_output(config: ConvertConfig, inputs: Mapping[str, Sequence[Path]]) -> Path:
    if config.output is None:
        raise ConfigError("output: missing; name the file to write, such as output=Data/my.h5")
    output = expand_home(config.output)
    if output.suffix not in (".h5", ".hdf5"):
        raise ConfigError(f"output: must end in .h5 or .hdf5, got {config.output!r}")
    if output.is_dir():
        raise ConfigError(f"output: {config.output!r} is a folder; name a file in it")
    sheet = output.with_suffix(".yaml")
    taken = {path.resolve() for paths in inputs.values() for path in paths}
    for path in (output, sheet):
        if path.resolve() in taken:
            raise ConfigError(f"output: {str(path)!r} is an input as well; choose another name")
    for path in (output, sheet):
        if path.exists() and not config.overwrite:
            raise ConfigError(f"output: {str(path)!r} exists; choose another name, or overwrite=true")
    if sheet.exists() and read_magic(sheet, len(SHEET_START)) != SHEET_START:
        raise ConfigError(f"output: {str(sheet)!r} is no sheet of thesis-data, and would be lost; choose another name")
    return output


def _open_files(config: ConvertConfig, inputs: Mapping[str, Sequence[Path]], folder: Path) -> list[InputFile]:
    """Return all input files; a broken one has its error where `on_error` is skip.

    Raises:
        DataError: A file does not fit the recipe.
    """
    opened = []
    types: tuple[str, ...] = ()
    for label, (name, paths) in enumerate(inputs.items()):
        for path in paths:
            try:
                file = _open_file(config, path, name, label, folder)
                types = types or file.type_names
                if file.type_names != types:
                    shown = ", ".join(types)
                    raise Place(path).error(f"has the objects {', '.join(file.type_names)}; the files before: {shown}")
            except DataError as error:
                if config.on_error == "fail":
                    raise
                file = InputFile(path, name, label, error=str(error))
            opened.append(file)
    return opened


def _open_file(config: ConvertConfig, path: Path, class_name: str, label: int, folder: Path) -> InputFile:
    options = parse_choice(READERS, config.reader, "reader")
    try_file(path, Place(path))
    reader = READERS[options.name](options, path)
    config = reader.complete(config)
    if not config.objects:
        raise ConfigError("objects: missing; name at least one type of object")
    # Every file is looked at before the first one is converted.
    assembler = Assembler(config, reader.list_columns(), Place(path))
    file_hash = hash_file(path)
    tasks = tuple(
        PartTask(config, reader, path, part, label, file_hash, folder / name_part(config, file_hash, label, part))
        for part in reader.list_parts(config.limit)
    )
    types = list_type_names(config.objects)
    assumed = (*assembler.assumptions, *reader.list_assumptions())
    return InputFile(path, class_name, label, file_hash, tasks, types, assumed, reader.describe_labels())


def _convert_files(config: ConvertConfig, files: Sequence[InputFile]) -> list[InputFile]:
    """Convert all parts that are not there yet; return the files, broken ones with their error.

    Raises:
        DataError: A file cannot be converted and `on_error` is fail, or none is left.
    """
    tasks = [(number, task) for number, file in enumerate(files) for task in file.tasks if not is_complete(task.target)]
    errors: dict[int, str] = {}
    with _start_workers(min(config.n_workers, len(tasks))) as run, count_progress(len(tasks), "part") as count:
        for (number, _), error in zip(tasks, run([task for _, task in tasks]), strict=True):
            count(1)
            if error is not None and config.on_error == "fail":
                raise error
            if error is not None:
                errors.setdefault(number, str(error))
    done = [
        replace(file, error=errors[number], tasks=()) if number in errors else file for number, file in enumerate(files)
    ]
    if all(file.error is not None for file in done):
        raise DataError(f"inputs: every file is broken; the first error: {done[0].error}")
    return done


@contextmanager
def _start_workers(n_workers: int) -> Iterator[RunTasks]:
    """Yield a function that converts parts, in this process or in others, and yields their errors in order."""
    if n_workers < 2:
        yield lambda tasks: map(try_part, tasks)
        return
    try:
        with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
            yield lambda tasks: pool.map(try_part, tasks)
            # They end while the parts are merged; behind this line there is nothing left to wait for.
            pool.shutdown(wait=False)
    except BrokenProcessPool as error:
        raise DataError("n_workers: a process was killed, maybe for lack of memory; start again with fewer") from error


def _merge(config: ConvertConfig, files: Sequence[InputFile], output: Path) -> Decisions:
    """Write the parts to the output in the order of the inputs, and the decisions into it and beside it."""
    parts = [read_overview(file, task.target) for file in files for task in file.tasks]
    if (problem := _explain_too_few(parts)) is not None:
        # No later start could use what the same recipe selects too little of.
        for part in parts:
            part.path.unlink(missing_ok=True)
        raise DataError(f"inputs: {problem}; loosen the selections, or check the unit")
    plan = plan_splits(parts, config.split)
    # The files name their objects and further columns where the recipe does not.
    config = next(file.tasks[0].config for file in files if file.tasks)
    type_names = list_type_names(config.objects)
    label_names = _name_labels(config, files)
    layout = _choose_layout(config, parts)
    found = [*plan.warnings]
    if config.label is not None and {file.class_name for file in files} != {DEFAULT_CLASS}:
        found.append("inputs names classes, but label takes the labels of the files; label=null takes the classes")
    found += compare_samples(parts, type_names, label_names)
    decisions = build_decisions(config, files, parts, plan, layout=layout, warnings=found)
    columns = {name: config.extra_columns.get(name, ExtraConfig()) for name in config.extra_names}
    meaning = FileMeaning(
        type_names,
        label_names,
        {name: column.unit for name, column in columns.items()},
        {name: column.encoding for name, column in columns.items() if column.encoding is not None},
        tuple(config.event_extra),
        {"conversion": format_decisions(decisions)},
    )
    n_slots = max(1, max(part.largest for part in parts))
    compression = None if config.compression == "none" else config.compression
    output.parent.mkdir(parents=True, exist_ok=True)
    with EventWriter(
        output, layout, meaning, n_slots=n_slots, compression=compression, n_threads=config.n_workers
    ) as writer:
        for part, splits in zip(parts, iterate_splits(parts, plan), strict=True):
            events = read_part(part.path)
            for number, split in enumerate(SPLITS):
                writer.append(split, keep_events(events, splits == number))
    _write_sheet(decisions, output)
    return decisions


def _write_sheet(decisions: Decisions, output: Path) -> None:
    """Write the decisions beside the output, which is removed where that fails: without them it would look complete."""
    sheet = output.with_suffix(".yaml")
    try:
        sheet.write_text(format_decisions(decisions), encoding="utf-8")
    except OSError:
        for path in (output, sheet):
            path.unlink(missing_ok=True)
        raise


def _explain_too_few(parts: Sequence[PartOverview]) -> str | None:
    """Return why what is left makes no data set, or None."""
    n_read, n_left = (sum(getattr(part.tally, name) for part in parts) for name in ("n_read", "n_kept"))
    if n_left < FEWEST_EVENTS:
        return f"{n_left} of {n_read} events are left; expected at least {FEWEST_EVENTS}"
    if not any(part.largest for part in parts):
        return f"no object is left in {n_left} events"
    return None


def _choose_layout(config: ConvertConfig, parts: Sequence[PartOverview]) -> Layout:
    if config.layout != "auto":
        return config.layout
    n_events = sum(part.tally.n_kept for part in parts)
    n_bytes = 4 * n_events * (2 + 5 * max(part.largest for part in parts))
    return "ragged" if config.extra_names or config.event_extra or n_bytes > LARGEST_TABLE_BYTES else "table"


def _name_labels(config: ConvertConfig, files: Sequence[InputFile]) -> dict[str, str]:
    """Return the names of the labels: those of a column, of the classes of the inputs, or of the files themselves.

    Raises:
        DataError: Two files name a label differently.
    """
    if config.label is not None:
        own: dict[str, str] = {}
        for file in files:
            for label, name in file.label_names.items():
                if own.setdefault(label, name) != name and not config.label_names:
                    raise Place(file.path).error(
                        f"label {label} is {name!r}; the files before: {own[label]!r}; name the classes in inputs with "
                        "label=null, or the labels with label_names"
                    )
        return dict(config.label_names) or own
    names = {str(file.label): file.class_name for file in files}
    return {} if set(names.values()) == {DEFAULT_CLASS} else names
