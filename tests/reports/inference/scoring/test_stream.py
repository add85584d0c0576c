"""One pass through models and corruptions gives each event the scores it has on its own."""

import math

import numpy as np
import pytest

from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import EventSplits, keep_events
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan
from thesis_ml.reports.inference.scoring import stream
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer
from thesis_ml.reports.inference.scoring.stream import (
    ModelScorer,
    PassOptions,
    StreamPlan,
    Variant,
    round_scores,
    stream_split,
)

VARIANTS = (
    Variant("lost", CorruptionPlan("lost_object", 0.3, 1)),
    Variant("scale", CorruptionPlan("energy_scale", 3.0, 1)),
)


@pytest.fixture(scope="module")
def stored() -> EventSplits:
    return load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig()))


@pytest.fixture
def plan(finished_run, stored: EventSplits) -> StreamPlan:
    background = stored.splits["train"]
    scorer = ModelScorer(restore_model(finished_run.path / "model.pt"), PassOptions(batch_size=64))
    scorer.fit(background)
    baselines = BaselineScorer(background, stored.type_names)
    return StreamPlan({"baseline": baselines, "vq": scorer}, VARIANTS, stored.type_names, background)


def test_scores_do_not_depend_on_blocks_and_company(
    plan: StreamPlan, stored: EventSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = stored.splits["test"]
    is_kept = np.arange(events.n_events) % 3 == 0

    together = stream_split(events, plan)
    monkeypatch.setattr(stream, "BLOCK_EVENTS", 17)
    alone = stream_split(keep_events(events, is_kept), plan)

    assert set(alone) == {(name, variant) for name in ("baseline", "vq") for variant in ("clean", "lost", "scale")}
    for key, scores in alone.items():
        for name, values in scores.items():
            np.testing.assert_allclose(values, together[key][name][is_kept], rtol=1e-4, atol=1e-5, err_msg=name)
            assert np.isfinite(values).all()


def test_clean_events_are_observed_and_passes_counted(plan: StreamPlan, stored: EventSplits) -> None:
    events, seen, counted = stored.splits["test"], [], []

    stream_split(events, plan, lambda name, block, passed: seen.append((name, passed)), counted.append)

    assert [name for name, _ in seen] == ["baseline", "vq"]
    passed = seen[1][1]
    assert passed.kinematics.shape == (events.n_tokens, 4)
    assert passed.types.shape == (events.n_tokens,)
    assert passed.codes.shape == (events.n_tokens, 1)
    assert sum(counted) == events.n_events * 2 * 3


def test_a_wrong_energy_scale_is_rarer_than_the_clean_events(plan: StreamPlan, stored: EventSplits) -> None:
    table = stream_split(stored.splits["test"], plan)

    assert table["vq", "scale"]["latent_neighbours"].mean() > table["vq", "clean"]["latent_neighbours"].mean()


def test_scores_that_are_equal_but_for_rounding_tie() -> None:
    means = np.array([np.full(length, 0.1).sum() / length for length in range(1, 60)])
    assert len(np.unique(means)) > 1

    assert len(np.unique(round_scores(means))) == 1
    assert np.isinf(round_scores(np.array([1e39])))


def test_autocast_is_honoured_and_off_unless_it_is_asked_for(finished_run, stored: EventSplits) -> None:
    restored = restore_model(finished_run.path / "model.pt")
    events = stored.splits["test"]

    def score(**options: bool) -> np.ndarray:
        scorer = ModelScorer(restored, PassOptions(batch_size=64, **options))
        scorer.fit(stored.splits["train"])
        return scorer.run(events).scores["error_mean"]

    exact, rounded = score(), score(autocast=True)

    assert not np.array_equal(exact, rounded)
    np.testing.assert_allclose(rounded, exact, rtol=0.5, atol=0.05)
    np.testing.assert_array_equal(score(autocast=False), exact)


def test_latent_that_is_no_number_has_scores_that_are_none(restored_run: RestoredModel) -> None:
    events = load_events(DataConfig(limit_events=60, synthetic=SyntheticConfig())).splits["test"]
    scorer = ModelScorer(restored_run, PassOptions())
    scorer.fit(events)
    for weights in restored_run.model.encoder.parameters():
        weights.data.fill_(math.nan)

    scores = scorer.run(events).scores

    assert np.isnan(scores["latent_mixture"][events.lengths > 0]).all()
