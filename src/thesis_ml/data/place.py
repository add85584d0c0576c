"""Where in a data file something is wrong: file, dataset and row."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Bool
from numpy.typing import NDArray

from thesis_ml.errors import DataError


@dataclass(frozen=True)
class Place:
    """A file or one dataset in it, as messages name it."""

    path: Path
    dataset: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.dataset}" if self.dataset else str(self.path)

    def whole_file(self) -> "Place":
        return Place(self.path)

    def error(self, problem: str, row: int | None = None) -> DataError:
        """Return the error that names this place."""
        where = str(self) if row is None else f"{self}, row {row}"
        return DataError(f"{where}: {problem}")

    def refuse_rows(self, is_bad: Bool[NDArray[Any], "N ..."], problem: str) -> None:
        """Refuse the first row in which `is_bad` holds anywhere.

        Raises:
            DataError: There is such a row.
        """
        if is_bad.any():
            row = int(is_bad.reshape(len(is_bad), -1).any(axis=1).argmax())
            raise self.error(problem, row)
