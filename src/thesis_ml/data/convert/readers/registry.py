"""The closed set of readers that a recipe may choose from."""

from collections.abc import Mapping

from thesis_ml.data.convert.readers.arrays import ArraysReader
from thesis_ml.data.convert.readers.base import Reader
from thesis_ml.data.convert.readers.branches import BranchesReader
from thesis_ml.data.convert.readers.dark_machines import DarkMachinesReader
from thesis_ml.data.convert.readers.event_files import EventFilesReader
from thesis_ml.data.convert.readers.structured import StructuredReader
from thesis_ml.data.convert.readers.tables import TablesReader

READERS: Mapping[str, type[Reader]] = {
    "branches": BranchesReader,
    "table": TablesReader,
    "dark_machines": DarkMachinesReader,
    "arrays": ArraysReader,
    "structured": StructuredReader,
    "events": EventFilesReader,
}
