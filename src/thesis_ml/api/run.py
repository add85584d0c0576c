"""A run and a report as objects, which draw themselves in a notebook; they read their folders when asked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thesis_ml.api.html import draw_report, draw_run
from thesis_ml.errors import FactsError, ReportError, UnusableRunError
from thesis_ml.facts.lines import RunState
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.schema import SCALARS_FILE, History
from thesis_ml.utils.paths import (
    FACTS_FOLDER,
    FIGURES_FOLDER,
    GROUPS_TABLE,
    PAGE_FILE,
    SUMMARY_FILE,
    TABLES_FOLDER,
    TRAINING_FOLDER,
    expand_home,
    find_run_folder,
    stays_inside,
)

if TYPE_CHECKING:
    import pandas as pd

    from thesis_ml.tokenizer.tokenizer import Tokenizer


class Run:
    """A run folder, in any state; links out of it are not followed, and no code in it is run.

    Args:
        path: The run folder or its facts folder.

    Raises:
        FactsError: It holds no run that can be read; every attribute may raise it later.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = find_run_folder(expand_home(path))
        self.read()

    def read(self, *, opens_files: bool = False) -> RunFacts:
        """Return what is recorded of the run by now; its arrays and the hash of its weights only if asked for."""
        try:
            return read_run(self.path, opens_files=opens_files)
        except UnusableRunError as error:
            raise FactsError(f"{self.path}: {error}; give the folder of a run") from error

    @property
    def state(self) -> RunState:
        """Its state by name, such as complete or running, and the reason."""
        return self.read().state

    @property
    def result(self) -> Mapping[str, Any]:
        """What `train` returned; empty before the run is complete."""
        return self.read().result

    @property
    def config(self) -> Mapping[str, Any]:
        """Every value of its configuration by its full key, such as `phase1.trainer.lr`."""
        return self.read().config

    @property
    def history(self) -> History:
        """All numbers per epoch and of the test split, and the arrays."""
        return self.read(opens_files=True).history

    @property
    def scalars(self) -> "pd.DataFrame":
        """A row per epoch and split."""
        # Here, not at the top, as pandas takes longer to import than all else here.
        from thesis_ml.facts.readers import read_scalars

        path = self.path / FACTS_FOLDER / SCALARS_FILE
        if not stays_inside(path, self.path):
            raise FactsError(f"{path}: is a link out of the folder and is not read; remove it")
        return read_scalars(self.path)

    @property
    def figures(self) -> list[Path]:
        """The files of its figures, none where none were drawn."""
        paths = sorted((self.path / FIGURES_FOLDER).glob("*"))
        return [path for path in paths if path.is_file() and stays_inside(path, self.path)]

    def tokenizer(self, device: str = "cpu") -> "Tokenizer":
        """Return its best weights as a tokenizer; see `thesis_ml.load_tokenizer`."""
        # Here, not at the top: to look at a run needs no torch.
        from thesis_ml.tokenizer.load import load_tokenizer

        return load_tokenizer(self.path, device)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return draw_run(self.read())


class Report:
    """The folder of a report.

    Raises:
        ReportError: It holds no report.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = expand_home(path)
        if not self.page.is_file():
            raise ReportError(f"{self.path}: holds no {PAGE_FILE}; give the folder of a report")

    @property
    def page(self) -> Path:
        """The page for a browser."""
        return self.path / PAGE_FILE

    @property
    def summary(self) -> Mapping[str, Any]:
        """The numbers of its runs and groups, its checks, and its headline."""
        summary: dict[str, Any] = json.loads((self.path / TRAINING_FOLDER / SUMMARY_FILE).read_text(encoding="utf-8"))
        return summary

    @property
    def scoreboard(self) -> "pd.DataFrame":
        """A row per group of runs: the numbers that decide, and their errors."""
        # Here, not at the top, as pandas takes longer to import than all else here.
        import pandas as pd

        return pd.read_csv(self.path / TABLES_FOLDER / GROUPS_TABLE)

    def __repr__(self) -> str:
        return f"Report({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return draw_report(self.page, self.summary["headline"], self.scoreboard.to_html(index=False, na_rep=""))
