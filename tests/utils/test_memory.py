"""Too little memory is one line, whichever library runs out of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from thesis_ml.data.checks import Place
from thesis_ml.data.h5_access import hdf5_errors
from thesis_ml.errors import DataError, OutOfMemoryError
from thesis_ml.utils.memory import memory_errors

FORM = r"^memory: more than \d+ MiB are needed \(.*\); take fewer events \(data\.limit_events\)"
TOO_MUCH = 2**60


def test_numpy_that_runs_out_names_the_need() -> None:
    with pytest.raises(OutOfMemoryError, match=FORM + ".*") as end, memory_errors():
        np.empty(TOO_MUCH, dtype=np.uint8)

    assert "EiB" in str(end.value)


def test_torch_that_runs_out_names_the_need() -> None:
    with pytest.raises(OutOfMemoryError, match=FORM) as end, memory_errors():
        torch.empty(TOO_MUCH, dtype=torch.uint8)

    assert str(TOO_MUCH) in str(end.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
        RuntimeError("Unable to allocate 3 GiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_file_that_does_not_fit_is_not_called_damaged(error: Exception) -> None:
    with (
        pytest.raises(DataError, match=r"does not fit into memory .*data\.limit_events") as end,
        hdf5_errors(Place(Path("a"))),
    ):
        raise error

    assert "expected a complete HDF5 file" not in str(end.value)


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        raise RuntimeError("wrong shape")
