"""The numbers that sequences of codes are made of."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from thesis_ml.data.checks import read_array, read_whole
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray


@dataclass(frozen=True)
class Vocabulary:
    """The numbers that sequences of codes are made of.

    A token becomes Q numbers, one from each quantiser, whose codes are shifted behind those of the quantisers before.
    Behind all codes come three numbers that are no codes.

    Args:
        codebook_sizes: Codes K of each of the Q quantisers.
    """

    codebook_sizes: tuple[int, ...]

    @property
    def offsets(self) -> tuple[int, ...]:
        """What is added to the codes of each quantiser."""
        return tuple(itertools.accumulate((0, *self.codebook_sizes[:-1])))

    @property
    def start(self) -> int:
        """Opens every sequence."""
        return sum(self.codebook_sizes)

    @property
    def stop(self) -> int:
        """Closes every sequence."""
        return self.start + 1

    @property
    def pad(self) -> int:
        """Fills a sequence behind `stop` to the length of the longest one."""
        return self.start + 2

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.start + 3

    def describe(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        names = ("start", "stop", "pad", "size")
        sizes = {"codebook_sizes": list(self.codebook_sizes), "offsets": list(self.offsets)}
        return {**sizes, **{name: getattr(self, name) for name in names}}

    def read_codes(self, codes: Any) -> Int[NDArray[Any], "P Q"]:
        """Return codes [P, Q], or [P] of one quantiser, as an array.

        Raises:
            DataError: They are none of these quantisers.
        """
        sizes = np.array(self.codebook_sizes)
        array = read_array(codes, "codes")
        if array.ndim == 1 and len(sizes) == 1:
            array = array[:, None]
        array = read_whole(array, "codes", shape=(None, len(sizes)))
        is_unknown = ((array < 0) | (array >= sizes)).any(axis=1)
        if is_unknown.any():
            first = int(is_unknown.argmax())
            largest = ", ".join(str(size - 1) for size in sizes)
            raise DataError(
                f"codes: token {first} has {array[first].tolist()}; expected 0 to {largest}; sequences with start, "
                "stop and pad go to read_sequences"
            )
        return array

    def write_sequences(
        self, codes: Int[NDArray[Any], "P Q"], lengths: Int[NDArray[Any], " N"]
    ) -> Int[NDArray[np.int64], "N L"]:
        """Return each event as `start`, the Q numbers of each token in turn, `stop`, and `pad` to a common length."""
        n_numbers = lengths * len(self.codebook_sizes)
        sequences = np.full((len(lengths), int(n_numbers.max(initial=0)) + 2), self.pad, dtype=np.int64)
        sequences[:, 0] = self.start
        places = np.arange(sequences.shape[1])
        is_code = (places > 0) & (places <= n_numbers[:, None])
        sequences[is_code] = (codes + np.array(self.offsets)).reshape(-1)
        sequences[np.arange(len(lengths)), n_numbers + 1] = self.stop
        return sequences

    def read_sequences(
        self, sequences: Int[NDArray[Any], "N L"]
    ) -> tuple[Int[NDArray[Any], "P Q"], Int[NDArray[Any], " N"]]:
        """Return the codes of sequences and the tokens of each event; a number of another quantiser is no code.

        Raises:
            DataError: A sequence breaks the form.
        """
        n_quantisers = len(self.codebook_sizes)
        is_stop = sequences == self.stop
        n_numbers = is_stop.argmax(axis=1) - 1 if sequences.shape[1] else np.full(len(sequences), -1)
        is_broken = (is_stop.sum(axis=1) != 1) | (n_numbers < 0) | (n_numbers % n_quantisers != 0)
        is_broken |= (sequences[:, :1] != self.start).any(axis=1)
        places = np.arange(sequences.shape[1])
        is_broken |= ((places > n_numbers[:, None] + 1) & (sequences != self.pad)).any(axis=1)
        if is_broken.any():
            raise DataError(
                f"sequences: row {int(is_broken.argmax())} is no sequence; expected start ({self.start}), "
                f"{n_quantisers} numbers for each token, stop ({self.stop}), then pad ({self.pad})"
            )
        is_code = (places > 0) & (places <= n_numbers[:, None])
        codes = sequences[is_code].reshape(-1, n_quantisers)
        return codes - np.array(self.offsets), n_numbers // n_quantisers
