"""The section on closure: objects with E < p fail its check, and its jet masses go to the scoreboard."""

from types import SimpleNamespace

import numpy as np
import pytest

from closures import copy, measure, push_below_shell, smear
from stored_events import TYPES, make_events
from thesis_ml.metrics.uncertain import Spread
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import Clock, Context
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.sections.closure import build_closure, check_masses
from thesis_ml.reports.inference.sections.closure.measure import ModelClosure


def test_copy_passes_the_check_of_masses_and_objects_below_the_shell_fail_it() -> None:
    exact, below = measure(copy), measure(push_below_shell)

    (passed,) = check_masses({"exact": [exact]})
    (failed,) = check_masses({"exact": [exact], "below": [below], "both": [exact, below]})

    assert (passed.name, passed.state) == ("unphysical objects", "passed")
    assert (failed.name, failed.state) == ("unphysical objects", "failed")
    assert failed.text == "Reconstructed objects with E < p, which no particle has: below 5.0% and both 2.5%."


def test_objects_that_are_below_the_shell_in_the_data_fail_nothing() -> None:
    events = make_events(4000)
    momentum = events.features["pt"] * np.cosh(events.features["eta"])
    below = events.with_features(
        E=np.where(np.arange(events.n_tokens) % 20 == 0, 0.95 * momentum, events.features["E"])
    )

    (check,) = check_masses({"exact": [measure(copy, events=below)]})

    assert check.state == "passed"


def test_model_without_energies_has_no_check_of_masses() -> None:
    few = measure(lambda events: ModelOutput({}, np.stack((events.features["pt"],), axis=1)), ("pt",))

    assert list(check_masses({"few": [few]})) == []


def make_context(models: dict[str, ModelClosure]) -> Context:
    """A context that holds the closure of models named `<group> <seed>`."""
    loaded = tuple(
        LoadedModel(ScoredModel(name, name.split()[0], number, name, None), restored=None, checkpoint_hash=None)
        for number, name in enumerate(models)
    )
    data = SimpleNamespace(stored=SimpleNamespace(type_names=TYPES))
    closures = {name: model.counted for name, model in models.items()}
    return Context(InferenceConfig(), loaded, {}, data, None, closures, {}, Clock())


@pytest.fixture(scope="module")
def models() -> dict[str, ModelClosure]:
    return {"exact 0": measure(copy), "smeared 0": measure(smear), "smeared 1": measure(push_below_shell)}


@pytest.mark.slow
def test_section_has_tables_figures_and_the_jet_mass_of_every_group(models: dict[str, ModelClosure]) -> None:
    section = build_closure(make_context(models))

    widths = {name: model.counted.jet_mass_width68 for name, model in models.items()}
    assert section.scores["jet_mass"] == {
        "exact": Spread.of([widths["exact 0"]]),
        "smeared": Spread.of([widths["smeared 0"], widths["smeared 1"]]),
    }
    assert [table.name for table in section.tables] == [
        f"closure_{name}" for name in ("features", "events", "checks", "counts", "residuals", "types")
    ]
    assert [check.state for check in section.checks] == ["failed"]
    assert {row["group"] for row in section.summary["closure_events"]} == {"exact", "smeared"}
    assert section.summary["closure_events"][0]["mean_error"] == 0.0


def test_group_without_jet_masses_has_none_on_the_scoreboard() -> None:
    few = measure(lambda events: ModelOutput({}, np.stack((events.features["pt"],), axis=1)), ("pt",))

    assert build_closure(make_context({"few 0": few})).scores["jet_mass"] == {}
