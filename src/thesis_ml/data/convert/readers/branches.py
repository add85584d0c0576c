"""Trees of ROOT files (TTree and RNTuple), and parquet files of the same branches."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import awkward as ak
import pyarrow.parquet
import uproot

from thesis_ml.config import hint_nearest
from thesis_ml.data.checks import Place
from thesis_ml.data.convert.readers.base import (
    CHUNK_EVENTS,
    Columns,
    FileState,
    Part,
    Reader,
    ReaderConfig,
    cut_rows,
    name_errors,
    read_magic,
    read_state,
)

EXPECTED = "a complete ROOT or parquet file"
TREES = ("TTree", "RNTuple", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")


@dataclass(frozen=True)
class BranchesConfig(ReaderConfig):
    tree: Annotated[
        str | None, "name of the tree, or several with commas, of which the first is read; null: the only one"
    ] = None


class BranchesReader(Reader):
    """Branches of a tree, and the columns of a parquet file, by their names."""

    Config: ClassVar[type[ReaderConfig]] = BranchesConfig

    def __init__(self, config: BranchesConfig, path: Path) -> None:
        self.config, self.path = config, path

    def list_columns(self) -> Sequence[str]:
        with name_errors(self.path, EXPECTED), self._open() as tree:
            return list(tree.keys)

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        with name_errors(self.path, EXPECTED), self._open() as tree:
            return cut_rows(tree.n_events, limit)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        with name_errors(self.path, EXPECTED), self._open() as tree:
            yield from tree.read(part, names)

    def close(self) -> None:
        _open_tree.cache_clear()

    @contextmanager
    def _open(self) -> Iterator["_Tree | _Parquet"]:
        if read_magic(self.path) == b"PAR1":
            yield _Parquet(self.path)
            return
        yield _open_tree(self.path, self.config.tree, read_state(self.path))


@lru_cache(maxsize=1)
def _open_tree(path: Path, name: str | None, state: FileState) -> "_Tree":
    """Return a tree of a file that stays open: the 1,500 branches of NanoAOD take half a second to list.

    Args:
        path: The file.
        name: Names of trees, of which the first that is there is taken; None for the only one.
        state: Changes with the file.
    """
    # The caches of uproot would hold 100 MB of arrays, and 100 trees.
    file = uproot.open(path, array_cache=None, object_cache=None)
    return _Tree(file[_choose_tree(file, name, Place(path))])


def _choose_tree(file: Any, name: str | None, place: Place) -> str:
    """Return the name of the tree in its last cycle."""
    kinds = file.classnames(recursive=True)
    trees = {key.partition(";")[0] for key, kind in kinds.items() if kind in TREES}
    if name is not None:
        names = [one.strip() for one in name.split(",")]
        if (found := next((one for one in names if one in trees), None)) is not None:
            return found
        available = ", ".join(sorted(trees)[:20]) or "no tree"
        raise place.error(f"has no tree {name!r}; it has {available}; set reader.tree{hint_nearest(names[0], trees)}")
    if len(trees) != 1:
        raise place.error(f"has the trees {', '.join(sorted(trees)[:20]) or '(none)'}; set reader.tree")
    return str(trees.pop())


class _Tree:
    def __init__(self, tree: Any) -> None:
        self.tree = tree
        full = list(tree.keys())
        # Split branches are named Jet/Jet.PT, fields of an RNTuple Jet:PT, as they may have no dot.
        own = [name.rpartition("/")[2].replace(":", ".") for name in full]
        short = Counter(own)
        self.keys = {one: name for one, name in zip(own, full, strict=True) if short[one] == 1}
        self.keys |= {name: name for name in full if ":" not in name}

    @property
    def n_events(self) -> int:
        return int(self.tree.num_entries)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        paths = [self.keys[name] for name in names]
        for start in range(part.start, part.stop or 0, CHUNK_EVENTS):
            stop = min(start + CHUNK_EVENTS, part.stop or 0)
            arrays = self.tree.arrays(list(dict.fromkeys(paths)), entry_start=start, entry_stop=stop, library="ak")
            yield {name: arrays[path] for name, path in zip(names, paths, strict=True)}


class _Parquet:
    def __init__(self, path: Path) -> None:
        self.file = pyarrow.parquet.ParquetFile(path)
        self.keys = {name: name for name in self.file.schema_arrow.names}

    @property
    def n_events(self) -> int:
        return int(self.file.metadata.num_rows)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        """Yield the rows of a part; only the row groups that hold some of them are read."""
        first = 0
        for group in range(self.file.num_row_groups):
            n_rows = self.file.metadata.row_group(group).num_rows
            start, stop = max(part.start - first, 0), min((part.stop or 0) - first, n_rows)
            place = 0
            for batch in self.file.iter_batches(CHUNK_EVENTS, [group], list(names)) if start < stop else ():
                rows = slice(max(start - place, 0), max(stop - place, 0))
                place += batch.num_rows
                table = batch.slice(rows.start, rows.stop - rows.start)
                if table.num_rows:
                    yield {name: _drop_missing(ak.from_arrow(table.column(name))) for name in names}
            first += n_rows


def _drop_missing(values: Any) -> Any:
    """Return values that cannot be missing: a missing number becomes NaN, a missing list an empty one."""
    if "option[" in str(ak.type(values)):
        values = ak.fill_none(values, [], axis=0)
    kind = str(ak.type(values))
    if "?" not in kind or "string" in kind or "{" in kind:
        return values
    # Whole numbers stay so where none is missing: jetId & 2 needs them.
    is_missing = ak.any(ak.is_none(values, axis=-1), axis=None)
    zero = ak.to_numpy(ak.flatten(values, axis=None)).dtype.type(0)
    return ak.fill_none(values, float("nan") if is_missing else zero, axis=None)
