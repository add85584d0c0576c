"""The context of inference: corruptions, fits and passes, and the models that fail in any of them."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stored_events import FEATURES, stack_features
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import Events, take_first
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import ConfigError
from thesis_ml.reports.inference.changes.corruptions import CORRUPTIONS
from thesis_ml.reports.inference.changes.nulls import NullPlan
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import (
    Clock,
    choose_pool,
    choose_variants,
    count_passes,
    drop_failed,
    fit_scorers,
    stream_all,
    stream_clean,
    stream_events,
)
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.models import LoadedModel, ModelSet
from thesis_ml.reports.inference.scoring import stream
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, ScoredModel
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.scoring.stream import ModelScorer, StreamPlan, Variant
from thesis_ml.reports.inference.scoring.tally import ClosureTally


def test_default_corruptions_are_those_that_the_data_can_have() -> None:
    stored = load_events(DataConfig(limit_events=30, synthetic=SyntheticConfig()))
    events = stored.splits["test"]
    renamed = replace(stored, type_names=("jet", "other", *stored.type_names[2:]))
    data = LoadedData(renamed, "", "test", events, events, events, (0,), None)

    variants, skipped = choose_variants(data, InferenceConfig())
    names = {variant.plan.name for variant in variants}

    assert set(CORRUPTIONS) - names == {"btag_flip"}
    assert skipped == {"btag_flip": f"needs the object type 'b-jet'; the data has {', '.join(renamed.type_names)}"}
    with pytest.raises(ConfigError, match="needs the object type 'b-jet'"):
        choose_variants(data, InferenceConfig(corruption_strategies={"btag_flip": (0.1,)}))


class Diverging:
    """A model that copies events, but for some numbers of the later ones.

    Args:
        what: `decoded` or `scores`: what is not finite.
        n_right: The events before are right.
    """

    def __init__(self, what: str = "", n_right: int = 0) -> None:
        self._what, self._n_right = what, n_right

    def run(self, events: Events) -> ModelOutput:
        is_wrong = events.index >= self._n_right
        kinematics, scores = stack_features(events), np.zeros(events.n_events)
        if self._what == "decoded":
            kinematics[np.repeat(is_wrong, events.lengths), 0] = np.inf
        if self._what == "scores":
            scores[is_wrong] = np.nan
        return ModelOutput({"error_mean": scores}, kinematics)


def test_model_that_diverges_in_scored_events_is_named_and_others_go_on() -> None:
    stored = load_events(DataConfig(limit_events=100, synthetic=SyntheticConfig()))
    events = replace(stored.splits["test"], index=np.arange(100))
    scorers = {"good": Diverging(), "decoded": Diverging("decoded", 90), "scores": Diverging("scores", 97)}
    models = tuple(LoadedModel(ScoredModel(name, name, 0, f"run_{name}", None), None, None) for name in scorers)
    tallies = {name: ClosureTally(FEATURES, stored.type_names, [0, 1], []) for name in scorers}
    data = LoadedData(stored, "", "test", events, events, events, (0,), events)
    plan = StreamPlan(scorers, (), stored.type_names, events)

    streamed, restored = drop_failed(stream_all(data, plan, tallies), ModelSet(models, {"other": "gone"}))

    n_wrong = int((events.lengths[90:] > 0).sum())
    assert [model.scored.name for model in restored.models] == ["good"]
    assert restored.not_possible == {
        "other": "gone",
        "run_decoded": f"its decoded values of {n_wrong} of 100 scored events are not finite; train it again",
        "run_scores": "its error_mean of 3 of 100 scored events is not finite; train it again",
    }
    assert set(streamed.table) == {("good", "clean")}
    assert set(streamed.signal) == set(streamed.training) == {"good"}


def test_report_goes_on_when_nothing_can_be_fitted_to_any_model(restored_run: RestoredModel, monkeypatch) -> None:
    def fail(rows: object, seed: int) -> None:
        raise ValueError("singular\nmatrix")

    monkeypatch.setattr(stream, "DENSITIES", {"mixture": fail})
    events = load_events(DataConfig(limit_events=30, synthetic=SyntheticConfig())).splits["train"]
    model = LoadedModel(ScoredModel("a", "a", 0, "run", None), restored_run, None)
    stored = load_events(DataConfig(limit_events=30, synthetic=SyntheticConfig()))
    data = LoadedData(stored, "", "test", events, events, events, (0,), None)

    scorers, restored = fit_scorers(data, ModelSet((model,), {"other": "gone"}), InferenceConfig())

    assert list(scorers) == [BASELINE] and restored.models == ()
    assert restored.not_possible["run"].startswith("no density can be fitted to its latents (singular matrix); train")
    assert restored.not_possible["other"] == "gone"


def test_passes_are_counted_before_they_are_made() -> None:
    splits = load_events(DataConfig(limit_events=50, synthetic=SyntheticConfig()))
    events, few = splits.splits["test"], take_first(splits.splits["train"], 7)
    data = LoadedData(splits, "", "test", events, events, few, (0,), few)
    variants = [Variant("turned", NullPlan("phi_rotation", 0))]
    plan = StreamPlan({BASELINE: BaselineScorer(events, splits.type_names)}, variants, splits.type_names, events)
    done: list[int] = []

    stream_events(events, plan, {}, done.append)
    for part in (data.signal, data.unfitted):
        stream_clean(part, plan, done.append)

    assert sum(done) == count_passes(data, plan) == 50 + 50 + 7 + 7


def test_cross_sections_are_checked_before_events_are_scored(infer: Callable[..., Path], monkeypatch) -> None:
    monkeypatch.setattr(ModelScorer, "fit", lambda self, background: pytest.fail("fitted first"))

    with pytest.raises(ConfigError, match=r"inference\.cross_sections_pb: unknown name 'nothing'; available: "):
        infer("inference.cross_sections_pb={nothing: 1}", "inference.luminosity_fb=1")


def test_corruptions_take_tokens_from_background_that_no_model_was_trained_on() -> None:
    stored = load_events(DataConfig(limit_events=60, synthetic=SyntheticConfig()))
    train, test = stored.splits["train"], stored.splits["test"]

    for split, other in (("test", "val"), ("val", "test"), ("train", "test")):
        pool = choose_pool(LoadedData(stored, "", split, stored.splits[split], train, train, (0,), None))
        expected = stored.splits[other].labels == 0
        np.testing.assert_array_equal(pool.index, stored.splits[other].index[expected])
    nowhere = LoadedData(stored, "", "test", test, train, train, (7,), None)
    assert choose_pool(nowhere) is train


def test_clock_adds_the_seconds_of_one_name() -> None:
    clock = Clock()

    for name in ("fit", "pass", "fit"):
        with clock.time(name):
            math.factorial(10)

    assert list(clock.seconds) == ["fit", "pass"] and min(clock.seconds.values()) >= 0
