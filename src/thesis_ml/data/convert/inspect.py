"""What a file is, by its content: trees or tables, columns with their ranges, and the recipe that fits."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import uproot

from thesis_ml.data.checks import Place
from thesis_ml.data.convert.config import find_inputs
from thesis_ml.data.convert.readers.arrays import ArraysConfig, ArraysReader
from thesis_ml.data.convert.readers.base import DAMAGED, Part, Reader, name_errors, read_magic
from thesis_ml.data.convert.readers.branches import TREES, BranchesConfig, BranchesReader
from thesis_ml.data.convert.readers.dark_machines import DarkMachinesConfig, DarkMachinesReader
from thesis_ml.data.convert.readers.event_files import EventFilesConfig, EventFilesReader
from thesis_ml.data.convert.readers.structured import StructuredConfig, StructuredReader
from thesis_ml.data.convert.readers.tables import TablesConfig, TablesReader
from thesis_ml.data.h5_trial import try_file
from thesis_ml.errors import ConfigError, DataError

SHOWN_EVENTS = 1000
"""Events whose ranges are shown."""
SHOWN_COLUMNS = 60
HEAD_BYTES = 4096
COMMON = ("Jet", "Electron", "Muon", "Photon", "MET", "MissingET", "Analysis", "part_")
"""Collections that recipes use, which are shown before others."""

SEPARATORS = (",", "\t", ";")
NUMBERED = re.compile(r"jet\d+_.+")
"""Columns that the recipe `table` takes."""

TREE_RECIPES: Mapping[str, tuple[str, ...]] = {
    "nanoaod": ("Jet_pt", "Jet_eta", "Electron_pt"),
    "physlite": ("AnalysisJetsAuxDyn.pt",),
    "delphes": ("Jet.PT", "Jet.Eta"),
    "jetclass": ("part_px", "part_energy"),
    "ntuple": ("Jet_Px",),
}
"""Recipes of trees by columns that only they have."""

USUAL_TREES: Mapping[str, tuple[str, ...]] = {
    "nanoaod": ("Events",),
    "physlite": ("CollectionTree", "EventData"),
    "delphes": ("Delphes",),
    "jetclass": ("tree",),
}
"""Trees that recipes read by themselves."""

NO_RECIPE: Mapping[str, str] = {
    "LHE": "an LHE file holds partons before shower and detector; simulate it, for example with Delphes, first",
    "HepMC": "a HepMC file holds particles before the detector; simulate it, for example with Delphes, first",
    "EDM4hep": "EDM4hep has no recipe; write the collections to a flat tree, or adapt the recipe ntuple",
    "AOD": "an AOD holds C++ objects that need the software of the experiment; make a PHYSLITE or a flat tree of it",
    "gzip": "a compressed file; unpack it first",
}


@dataclass(frozen=True)
class FileFormat:
    """What a file is.

    Args:
        kind: The format.
        recipe: The recipe that fits, None where there is none.
        reader: Opens it, None where there is none.
        trees: Of a ROOT file.
        options: Overrides that the recipe needs for this file.
    """

    kind: str
    recipe: str | None
    reader: Reader | None
    trees: Sequence[str] = ()
    options: str = ""


def recognise_file(path: Path) -> FileFormat:
    """Return what a file is, by its content.

    Raises:
        DataError: It is damaged.
    """
    head = read_magic(path, HEAD_BYTES)
    if head.startswith(b"root"):
        return _recognise_root(path)
    if head.startswith(b"PAR1"):
        reader = BranchesReader(BranchesConfig("branches"), path)
        recipe = _match_columns(reader.list_columns(), "table")
        return FileFormat("a parquet file", recipe, reader)
    if head.startswith(b"\x89HDF"):
        return _recognise_hdf5(path)
    return _recognise_text(path, head)


def inspect_file(inputs: Any) -> str:
    """Return what a file is, its columns, and the line that converts it.

    Raises:
        ConfigError: `inputs` names no file, or several.
        DataError: The file cannot be read.
    """
    paths = [path for found in find_inputs(inputs).values() for path in found]
    if len(paths) != 1:
        raise ConfigError(f"inputs: inspect takes one file, got {len(paths)}")
    path = paths[0]
    try_file(path, Place(path))
    found = recognise_file(path)
    lines = [f"{path}: {found.kind}, {path.stat().st_size / 2**20:.1f} MiB"]
    if found.trees:
        lines.append(f"trees: {', '.join(found.trees)}")
    if found.reader is not None:
        lines += _describe_columns(found.reader)
    return "\n".join([*lines, "", suggest_recipe(path, found)])


def suggest_recipe(path: Path, found: FileFormat) -> str:
    """Return the line that converts a file, or why there is none."""
    if found.recipe is None:
        return NO_RECIPE.get(
            found.kind, "no recipe fits as it is; adapt the recipe table or ntuple in a folder of your own"
        )
    options = f" {found.options}" if found.options else ""
    # A file of HDF5 may lie here already under the same name.
    output = f"{path.stem}_events.h5" if path.suffix == ".h5" else f"{path.stem}.h5"
    return f"convert it with: thesis-data --config-name {found.recipe} inputs={path} output={output}{options}"


def _recognise_root(path: Path) -> FileFormat:
    with name_errors(path, "a complete ROOT file"), uproot.open(path) as file:
        kinds = file.classnames(recursive=True)
    trees = sorted({name.partition(";")[0] for name, kind in kinds.items() if kind in TREES})
    if not trees:
        raise Place(path).error("is a ROOT file without a tree; expected a TTree or an RNTuple")
    preferred = [
        tree for tree in ("Events", "CollectionTree", "EventData", "Delphes", "tree", "events") if tree in trees
    ]
    tree = preferred[0] if preferred else trees[0]
    reader = BranchesReader(BranchesConfig("branches", tree), path)
    columns = set(reader.list_columns())
    if "podio_metadata" in trees:
        return FileFormat("EDM4hep", None, reader, trees)
    if tree == "CollectionTree" and "AnalysisJetsAuxDyn.pt" not in columns:
        return FileFormat("AOD", None, None, trees)
    recipe = _match_columns(columns, "ntuple")
    kind = "an RNTuple of ROOT" if "RNTuple" in kinds.get(f"{tree};1", "") else "a TTree of ROOT"
    usual = USUAL_TREES.get(recipe, ())
    options = f"reader.tree={tree}" if tree not in usual and (usual or len(trees) > 1) else ""
    return FileFormat(kind, recipe, reader, trees, options)


def _match_columns(columns: Sequence[str] | set[str], other: str) -> str:
    known = set(columns)
    return next((name for name, wanted in TREE_RECIPES.items() if set(wanted) <= known), other)


def _recognise_hdf5(path: Path) -> FileFormat:
    shapes: dict[str, Any] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            shapes[name] = (item.shape, item.dtype)

    with name_errors(path, "a complete HDF5 file"), h5py.File(path, "r", locking=False) as file:
        file.visititems(note)
        is_pandas = any("pandas_type" in item.attrs for item in file.values())
        top = set(file)
    if {"X_train", "X_val", "X_test"} <= top:
        return FileFormat(
            "events that thesis-train reads", "events", EventFilesReader(EventFilesConfig("events"), path)
        )
    if is_pandas:
        return _match_table("a pandas HDF5 file", TablesConfig("table"), path)
    compound = [name for name, (shape, dtype) in shapes.items() if dtype.names and len(shape) == 2]
    if compound:
        return FileFormat(
            "an HDF5 file of compound datasets", "upp", StructuredReader(StructuredConfig("structured"), path)
        )
    arrays = [name for name, (shape, dtype) in shapes.items() if len(shape) == 3 and dtype.kind in "fiu"]
    if arrays:
        names = tuple(f"column_{number}" for number in range(shapes[arrays[0]][0][2]))
        reader = ArraysReader(ArraysConfig("arrays", arrays[0], names), path)
        options = "" if arrays[0] == "Particles" else f"reader.array={arrays[0]}"
        return FileFormat(f"an HDF5 file with arrays of shape {shapes[arrays[0]][0]}", "particles", reader, (), options)
    return _match_table("an HDF5 file of tables", TablesConfig("table"), path)


def _recognise_text(path: Path, head: bytes) -> FileFormat:
    if not head:
        raise Place(path).error("the file is empty")
    if head.startswith(b"\x1f\x8b"):
        return FileFormat("gzip", None, None)
    if b"<LesHouchesEvents" in head:
        return FileFormat("LHE", None, None)
    if b"HepMC::" in head:
        return FileFormat("HepMC", None, None)
    if b"\0" in head:
        raise Place(path).error("is of no known format; expected ROOT, parquet, HDF5 or a text table")
    if re.search(rb"^[^\n]*;(j|b|e-|e\+|m-|m\+|g),[-+\d.e]+,", head, re.MULTILINE):
        reader = DarkMachinesReader(DarkMachinesConfig("dark_machines"), path)
        return FileFormat("a CSV file of the Dark Machines challenge", "dark_machines", reader)
    line = head.partition(b"\n")[0].decode(errors="replace")
    separator = max(SEPARATORS, key=line.count)
    return _match_table("a CSV file", TablesConfig("table", separator=separator), path)


def _match_table(kind: str, config: TablesConfig, path: Path) -> FileFormat:
    """Return the format of a table; the recipe takes columns of numbered jets."""
    reader = TablesReader(config, path)
    # A damaged table is named when its columns are shown.
    with suppress(DataError):
        if not any(NUMBERED.fullmatch(name) for name in reader.list_columns()):
            return FileFormat(kind, None, reader)
    shown = config.separator.replace("\t", "\\t")
    options = "" if config.separator == SEPARATORS[0] else f"'reader.separator=\"{shown}\"'"
    return FileFormat(kind, "table", reader, (), options)


def _describe_columns(reader: Reader) -> list[str]:
    """Return a line with type and range for each column, over the first events."""
    columns = list(reader.list_columns())
    shown = columns if len(columns) <= SHOWN_COLUMNS else _choose_columns(columns)
    *_, last = reader.list_parts(None)
    n_events = f"{last.stop:,} events, " if reader.counts_events and last.stop is not None else ""
    lines = [f"{n_events}{len(columns)} columns; ranges of the first {SHOWN_EVENTS:,} events:"]
    part, *_ = reader.list_parts(SHOWN_EVENTS)
    found = _read_columns(reader, part, shown)
    for name in shown:
        try:
            lines.append(f"  {name:<40} {_describe_values(found.get(name))}")
        except DAMAGED as error:
            lines.append(f"  {name:<40} cannot be read ({type(error).__name__})")
    if len(shown) < len(columns):
        lines.append(f"  ... and {len(columns) - len(shown)} more")
    return lines


def _read_columns(reader: Reader, part: Part, names: Sequence[str]) -> dict[str, Any]:
    """Return the columns of the first events, or the name of the error of those that cannot be read."""
    try:
        return dict(next(iter(reader.read(part, names)), {}))
    # One branch of a type that no library reads costs only its own line.
    except (DataError, *DAMAGED) as error:
        if len(names) == 1:
            return {names[0]: f"cannot be read ({type(error).__name__})"}
    return {key: values for name in names for key, values in _read_columns(reader, part, [name]).items()}


def _choose_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns of objects and of MET that recipes use, of very many."""
    wanted = re.compile(r"(pt|eta|phi|mass|m|e|px|py|pz|charge|weight\w*|met\w*|\w*btag\w*)$", re.IGNORECASE)
    found = [name for name in columns if wanted.match(re.split(r"[._]", name, maxsplit=1)[-1])]
    return sorted(found or columns, key=lambda name: not name.startswith(COMMON))[:SHOWN_COLUMNS]


def _describe_values(values: Any) -> str:
    if values is None:
        return "no events"
    if isinstance(values, str):
        return values
    if getattr(values, "dtype", None) is not None and values.dtype.kind in "OUS":
        return f"{'text':<16} such as {str(values[0])[:40]!r}" if len(values) else "no events"
    array = ak.Array(values)[:SHOWN_EVENTS]
    kind = str(ak.type(array)).partition(" * ")[2]
    flat = ak.to_numpy(ak.flatten(array, axis=None))
    if flat.dtype.kind not in "fiub" or not len(flat):
        return f"{kind:<16} {len(flat):,} values"
    finite = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    ends = f"{finite.min():.5g} to {finite.max():.5g}" if len(finite) else "none finite"
    return f"{kind:<16} {ends}"
