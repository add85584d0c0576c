"""The section on models and events: what was scored, and the runs that could not be used."""

from dataclasses import replace

import pytest

from scored_splits import make_split
from section_contents import find_check, find_table, list_rows, list_states, read_row
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.events import EventSplits, take_first
from thesis_ml.facts.readers import read_run
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import Clock, Context, prepare
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.models import LoadedModel, ModelSet
from thesis_ml.reports.inference.run import run_inference
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel
from thesis_ml.reports.inference.sections.overview import build_empty, build_overview, list_models


@pytest.fixture
def context(restored_run: RestoredModel, stored: EventSplits) -> Context:
    """One model of background events, and a run without one."""
    train, test = stored.splits["train"], stored.splits["test"]
    data = LoadedData(stored, "f00d", "test", test, train, train, (0,), None)
    models = (LoadedModel(ScoredModel("vq, seed 0", "vq", 0, "run", (0,)), restored_run, "hash"),)
    return Context(InferenceConfig(enabled=True), models, {}, data, None, {}, {}, Clock({"fit": 1.5}))


def test_models_that_were_all_scored_pass_the_check(context: Context) -> None:
    section = build_overview(context)

    assert [(check.name, check.state) for check in section.checks] == [("models", "passed")]
    assert section.writers == {}


def test_run_without_a_model_fails_the_check_with_its_reason(context: Context) -> None:
    section = build_overview(replace(context, not_possible={"exp/003": "holds no model"}))

    found = find_check(section.checks, "models")
    assert (found.state, found.text) == ("failed", "exp/003 was not scored: holds no model.")


def test_limits_and_omitted_parts_are_notes(context: Context) -> None:
    data = replace(context.data, limit="no more than 40 events are read", without_scores=("linear",))
    skipped = {"btag_flip": "needs the object type 'b-jet'; the data has jet"}

    checks = build_overview(replace(context, data=data, skipped=skipped)).checks

    assert find_check(checks, "events").text == "No more than 40 events are read."
    assert find_check(checks, "scores").text.startswith("linear has no codes")
    assert find_check(checks, "corruptions").text.startswith("btag_flip is omitted: it needs the object type 'b-jet'")
    assert [list_states(checks, name) for name in ("events", "scores", "corruptions")] == [["note"]] * 3


def test_events_models_times_and_parameters_are_listed(context: Context, stored: EventSplits) -> None:
    signal = take_first(stored.splits["test"], 7)

    section = build_overview(replace(context, data=replace(context.data, signal=signal)))

    numbers = dict(find_table(section, "events").rows)
    is_background = stored.splits["test"].labels == 0
    assert (numbers["scored events"], numbers["scored background events"]) == (300, int(is_background.sum()))
    assert (numbers["scored split"], numbers["events of inference.signal_file"]) == ("test split", 7)
    assert numbers["background events of the training split, to fit densities"] == 300
    model = read_row(find_table(section, "models"), run="run")
    assert (model["group"], model["seed"], model["train_classes"]) == ("vq", 0, "0")
    assert model["epoch of the weights"] == context.models[0].restored.epoch + 1
    assert list_rows(find_table(section, "times")) == [{"part": "fit", "seconds": 1.5}]
    n_parameters = sum(one.numel() for one in context.models[0].restored.model.parameters())
    assert section.scores == {"parameters": {"vq": Measured(n_parameters)}}
    assert section.summary["data"]["n_signal_file"] == 7


def test_scores_are_written_where_they_are_asked_for(context: Context) -> None:
    config = InferenceConfig(enabled=True, persist_raw_scores=True)

    assert set(build_overview(replace(context, config=config, scores=make_split(30))).writers) == {"scores.h5"}


@pytest.fixture
def broken(finished_run) -> list[Group]:
    """Two groups whose runs have no checkpoint."""
    (finished_run.path / "best_val.pt").unlink()
    (finished_run.path / "model.pt").unlink()
    names = ("one", "other")
    return [Group(name, {}, (read_run(finished_run.path, f"exp/{name}"),), {}) for name in names]


def check_empty(section: Section) -> None:
    assert (section.name, section.title) == ("inference", "Models and events")
    assert [(check.name, check.state) for check in section.checks] == [("models", "failed")] * 2
    assert all("holds neither best_val.pt nor model.pt" in check.text for check in section.checks)
    assert section.all_tables == section.all_figures == ()


def test_without_any_model_the_section_has_failed_checks(broken: list[Group]) -> None:
    models = prepare(broken, InferenceConfig(enabled=True))

    assert isinstance(models, ModelSet)
    check_empty(build_empty(models))


def test_inference_without_any_model_is_that_section_alone(broken: list[Group]) -> None:
    result = run_inference(broken, InferenceConfig(enabled=True))

    (section,) = result.sections
    check_empty(section)
    assert (result.data, result.references) == ({}, ())
    assert set(result.models) == {"exp/one", "exp/other"}
    assert all("holds neither" in model["not_possible"] for model in result.models.values())


def test_manifest_has_the_hash_of_a_model_and_the_reason_of_a_run_without(context: Context) -> None:
    entries = list_models(context.models, {"exp/003": "gone"})

    assert entries == {
        "run": {"name": "vq, seed 0", "checkpoint_hash": "hash", "train_classes": [0]},
        "exp/003": {"not_possible": "gone"},
    }
