"""Look through a file in a process of its own: a damaged one may crash or hang within the HDF5 library."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from thesis_ml.data.checks import Place
from thesis_ml.utils.child_process import ChildError, try_in_child

LIMIT_S = 30.0
DAMAGES = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)
"""What h5py raises on a damaged file; whoever reads it in earnest names it."""


def try_file(path: Path, place: Place) -> None:
    """Refuse an HDF5 file that the library cannot survive; one of our own package is known to be good.

    Structures are read whole, of arrays the index of their chunks and the first and last row: whatever crashed or hung
    among 11,000 files with random damage did so there.

    Raises:
        DataError: The HDF5 library crashes or hangs on it.
    """
    if path.resolve().parent == Path(__file__).resolve().parent or not h5py.is_hdf5(path):
        return
    try:
        try_in_child(lambda: _look_through(path), LIMIT_S)
    except ChildError as error:
        raise place.error(f"the HDF5 library {error}; the file is damaged: copy it again, or make it again") from error


def _look_through(path: Path) -> None:
    with suppress(*DAMAGES), h5py.File(path, "r", locking=False) as file:
        _read_attributes(file)
        file.visititems(lambda _, item: _read_ends(item))


def _read_ends(item: Any) -> None:
    with suppress(*DAMAGES):
        _read_attributes(item)
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        if item.chunks is not None:
            item.id.get_num_chunks()
        if item.shape == ():
            item[()]
        elif len(item):
            item[0], item[-1]


def _read_attributes(item: Any) -> None:
    for name in item.attrs:
        with suppress(*DAMAGES):
            item.attrs[name]
