"""A codebook fits the tokens that it was placed on better than others; more than K-means does is overtraining."""

from dataclasses import replace

import pytest

from thesis_ml.architectures.autoencoder.base import BottleneckConfig
from thesis_ml.architectures.autoencoder.bottlenecks.rvq import RVQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import EventSplits, take_first
from thesis_ml.data.tokens import load_events
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.sections.anomaly.checks import _check_nulls, _explain_held_out
from thesis_ml.reports.inference.sections.anomaly.null_tests import EXACT, HELD_OUT, NullCheck
from thesis_ml.reports.inference.sections.anomaly.overtraining import KnownEvents, allow_codebooks

N_TRAIN = 400
VQ_64 = VQBottleneck.Config(codebook_size=64)


@pytest.fixture(scope="module")
def stored() -> EventSplits:
    return load_events(DataConfig(synthetic=SyntheticConfig(n_train=N_TRAIN, n_val=10, n_test=600)))


def judge(
    model: RestoredModel,
    stored: EventSplits,
    auroc: float,
    score: str = "error_mean",
    latent_space: BottleneckConfig = VQ_64,
) -> NullCheck:
    """Return the check of a model with such codes whose score separates held-out from training events so well."""
    model = replace(model, config=replace(model.config, latent_space=latent_space), train_classes=None)
    check = NullCheck(HELD_OUT, "vq", score, Measured(auroc, 0.01), 0.03, "0.5 ± 3 standard errors")
    train = stored.splits["train"]
    events = KnownEvents(train, train, take_first(train, N_TRAIN), stored.splits["test"])
    (found,) = allow_codebooks([check], {"vq": model}, events)
    return found


def test_codes_may_fit_their_training_tokens_as_k_means_does(restored_run: RestoredModel, stored: EventSplits) -> None:
    check = judge(restored_run, stored, 0.6)

    assert check.holds and "k-means with 64 centres" in check.rule


@pytest.mark.parametrize("score", ["error_sum", "code_mean"])
def test_codebooks_in_a_row_are_compared_with_k_means_of_residuals(
    restored_run: RestoredModel, stored: EventSplits, score: str
) -> None:
    latent_space = RVQBottleneck.Config(n_quantizers=2, codebook_size=64)

    assert "k-means with 64 + 64 centres" in judge(restored_run, stored, 0.6, score, latent_space).rule
    assert not judge(restored_run, stored, 0.99, score, latent_space).holds


def test_more_than_k_means_is_overtraining(restored_run: RestoredModel, stored: EventSplits) -> None:
    assert not judge(restored_run, stored, 0.99).holds


@pytest.mark.parametrize(("auroc", "score"), [(0.52, "error_mean"), (0.3, "error_mean"), (0.7, "latent_mixture")])
def test_other_checks_stay_as_they_are(
    restored_run: RestoredModel, stored: EventSplits, auroc: float, score: str
) -> None:
    assert judge(restored_run, stored, auroc, score).rule == "0.5 ± 3 standard errors"


def test_chance_of_a_failure_follows_from_what_the_check_allows() -> None:
    check = NullCheck(HELD_OUT, "vq", "error_mean", Measured(0.5, 0.01), 0.03, "")

    assert check.chance == pytest.approx(0.0027, rel=0.01)
    assert check._replace(tolerance=0.02).chance == pytest.approx(0.0455, rel=0.01)
    assert check._replace(tolerance=EXACT).chance == 0
    (found,) = _check_nulls("overtraining", [check._replace(auroc=Measured(0.6, 0.01))] * 100, "x")
    assert "100 of 100 fail, 0.3 expected by chance" in found.text


def test_below_one_half_no_model_knows_its_events() -> None:
    check = NullCheck(HELD_OUT, "vq", "error_mean", Measured(0.4, 0.01), 0.03, "")

    assert "the splits differ" in _explain_held_out([check])
    assert "err less on their training" in _explain_held_out([check._replace(auroc=Measured(0.6, 0.01))])
