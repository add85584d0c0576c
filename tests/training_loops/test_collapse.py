"""A model that collapsed is named with its epoch, and with the best epoch that did not collapse."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import ConfigError
from thesis_ml.facts.history import build_history
from thesis_ml.facts.readers import read_events
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.schema import EpochFacts, History
from thesis_ml.training_loops import autoencoder
from thesis_ml.training_loops.autoencoder import AutoencoderTask
from thesis_ml.training_loops.best import BestEpoch
from thesis_ml.training_loops.collapse import (
    Scale,
    describe_collapse,
    describe_collapsed_codebook,
    describe_heavy_loss,
    describe_new_collapse,
    find_scale,
)

LARGE = (
    "data.limit_events=8000",
    "logging.make_plots=false",
    "phase1.trainer.epochs=3",
    "phase1.trainer.monitor=loss",
)


def count_codes(*used: int, n_codes: int = 512, n_tokens: int = 10_000) -> np.ndarray:
    """Tokens spread evenly over the first codes of each quantiser."""
    counts = np.zeros((len(used), n_codes), dtype=np.int64)
    for row, n_used in zip(counts, used, strict=True):
        row[:n_used] = n_tokens // n_used
    return counts if len(used) > 1 else counts[0]


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (count_codes(3), "the codebook has collapsed: test tokens use 512 codes like 3 equally frequent ones"),
        (count_codes(400, 2), "codebook 1 of 2 has collapsed: test tokens use 512 codes like 2 equally frequent ones"),
        (count_codes(1, n_codes=4), "use 4 codes like 1 equally"),
        (count_codes(26), None),
        (count_codes(5, n_tokens=20), None),
        (count_codes(2, n_codes=4), None),
        (np.zeros(512, dtype=np.int64), None),
        (None, None),
    ],
)
def test_codebook_that_is_hardly_used_is_said_to_have_collapsed(counts: np.ndarray | None, text: str | None) -> None:
    sizes = () if counts is None else (counts.shape[-1],) * np.atleast_2d(counts).shape[0]

    message = describe_collapsed_codebook(sizes, counts)

    assert message is None if text is None else text in str(message)


def make_history(**series: list[float]) -> History:
    """Return the history of a run with these numbers of the validation split."""
    epochs = [dict(zip(series, values, strict=True)) for values in zip(*series.values(), strict=True)]
    return build_history(
        EpochFacts(number, number, {"train": numbers, "val": numbers}, 1.0, 1.0, 1.0, 1.0)
        for number, numbers in enumerate(epochs)
    )


@pytest.mark.parametrize(
    ("series", "epoch", "message"),
    [
        (
            {"loss": [3.0, 2.5, 2.0], "perplexity": [400.0, 300.0, 11.0]},
            2,
            "phase1.latent_space: the codebook has collapsed: its perplexity is 11 of 512, at epoch 3, which "
            "phase1.trainer.monitor=loss chose; the best epoch without a collapse is 2 (loss 2.5): choose it by "
            "phase1.trainer.require_perplexity=26",
        ),
        (
            {"loss": [3.0, 2.5], "kl": [0.001, 0.002]},
            1,
            "phase1.latent_space: the latent has collapsed: it holds 0.0029 bits of a token, as its posterior is the "
            "prior, at epoch 2, which phase1.trainer.monitor=loss chose; no other epoch is without a collapse: train "
            "for more steps or on more events, or with a smaller beta",
        ),
        ({"loss": [3.0, 2.5], "kl": [0.001, 2.0]}, 1, None),
        (
            {"loss": [3.0, 2.5], "rec_mse": [0.7, 0.985]},
            1,
            "phase1.latent_space: the model reconstructs no better than the mean of all tokens: rec_mse is 0.985, that "
            "of the mean 1, at epoch 2, which phase1.trainer.monitor=loss chose; the best epoch without a collapse is "
            "1 (loss 3); a smaller beta may help",
        ),
        ({"loss": [3.0, 2.5], "rec_mse": [1.0, 0.97]}, 1, None),
        ({"loss": [3.0, 2.5], "perplexity": [11.0, 300.0]}, 1, None),
    ],
)
def test_a_collapse_is_named_with_the_best_epoch_without_one(
    compose_cfg, series: dict[str, list[float]], epoch: int, message: str | None
) -> None:
    settings = autoencoder.parse(compose_cfg("phase1.trainer.monitor=loss"))
    sizes = (512,) if "perplexity" in series else ()

    found = describe_collapse(make_history(**series), epoch, settings, Scale(sizes, 10_000, 1.0), counts=None, test={})

    assert found == message


@pytest.mark.parametrize(
    ("kl", "warned"),
    [
        ([0.001, 0.001, 0.001], [1]),
        ([0.001, 2.0, 0.001], [2]),
        ([2.0, 0.001, 2.0, 0.001], [1]),
        ([0.001, 2.0, 2.0], []),
    ],
)
def test_a_collapse_is_warned_of_once_at_its_epoch(compose_cfg, kl: list[float], warned: list[int]) -> None:
    settings = autoencoder.parse(compose_cfg())
    history = make_history(loss=[1.0] * len(kl), kl=kl)

    found = {epoch: describe_new_collapse(history, epoch, Scale((), 10_000, 1.0), settings) for epoch in range(len(kl))}

    assert [epoch for epoch, text in found.items() if text is not None] == warned
    assert all(text.endswith(f"in epoch {epoch + 1}") for epoch, text in found.items() if text is not None)


def test_the_mean_of_standardised_tokens_has_an_error_of_one(
    event_data: TokenData, make_task: Callable[..., AutoencoderTask]
) -> None:
    scale = find_scale(make_task().model, event_data)

    # Masses count of jets alone, so that the mean of these columns errs less.
    assert scale.mean_error == pytest.approx(float(event_data.val.features.square().mean()), rel=1e-6)
    assert scale.n_tokens == event_data.val.n_tokens


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (("phase1/latent_space=kl", "phase1.latent_space.beta=10"), "the latent has collapsed"),
        (
            ("phase1/latent_space=vq", "phase1.latent_space.beta=50", "phase1.latent_space.revive_below=0"),
            "the codebook has collapsed",
        ),
    ],
)
def test_a_run_that_collapses_says_so(compose_cfg, tmp_path: Path, overrides: tuple[str, ...], found: str) -> None:
    autoencoder.train(compose_cfg(*LARGE, *overrides))

    facts = read_events(tmp_path / "run" / "facts")
    warnings = [fact["text"] for fact in facts if fact["moment"] == "on_warning"]
    assert any(found in text and "at epoch" in text for text in warnings)
    assert any("dwarfs the reconstruction" in text for text in warnings)
    assert any(found in text and "in epoch" in text for text in warnings)
    assert not any("can copy" in text for text in read_run(tmp_path / "run", "run").warnings)


@pytest.mark.usefixtures("unchecked_shapes")
def test_an_epoch_below_the_required_perplexity_is_the_best_only_while_none_reaches_it(compose_cfg) -> None:
    best = BestEpoch(autoencoder.parse(compose_cfg("phase1.trainer.require_perplexity=100")))
    model = nn.Linear(1, 1)
    numbers = [(0.5, 20.0), (0.4, 30.0), (0.9, 200.0), (0.3, 90.0), (0.8, 110.0)]

    judged = [
        best.judge(epoch, {"rec_mse": error, "perplexity": perplexity}, model)
        for epoch, (error, perplexity) in enumerate(numbers)
    ]

    assert judged == [True, True, True, False, True]


def test_a_perplexity_is_required_of_codebooks_only(compose_cfg) -> None:
    with pytest.raises(ConfigError, match=r"^phase1\.trainer\.require_perplexity: this run has no codebook"):
        autoencoder.parse(compose_cfg("phase1/latent_space=kl", "phase1.trainer.require_perplexity=20"))


@pytest.mark.parametrize(("weights", "is_warned"), [({"commit": 0.25}, False), ({"commit": 50.0}, True), ({}, False)])
def test_a_loss_that_dwarfs_the_reconstruction_is_warned_of(weights: dict[str, float], is_warned: bool) -> None:
    assert (describe_heavy_loss(weights) is not None) == is_warned
