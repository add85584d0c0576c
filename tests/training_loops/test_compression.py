"""What a token costs in bits: of codes by counting, of continuous latents by rounding them."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import Autoencoder, DecoderOutput, Latent
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import select_events
from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.readers import read_arrays, read_events, read_scalars
from thesis_ml.training_loops.autoencoder import train
from thesis_ml.training_loops.compression import (
    measure_codes,
    measure_rounding,
    round_values,
)

FEW = (
    "data.limit_events=400",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "logging.make_plots=false",
    "phase1.trainer.epochs=1",
)
NUMBERS = ["metric_bits_per_token", "metric_entropy_bits", "metric_kl_bits"]


class ShiftingModel(Autoencoder):
    """Keep the features themselves as latents, and decode them with a constant error."""

    codebook_sizes = ()

    def __init__(self, error: float) -> None:
        nn.Module.__init__(self)
        self.error = error
        self.n_encoded = self.n_decoded = 0

    def encode(self, batch: TokenBatch) -> Latent:
        self.n_encoded += batch.n_events
        return Latent(batch.features)

    def decode(self, values: Tensor, lengths: Tensor) -> DecoderOutput:
        self.n_decoded += lengths.shape[0]
        return DecoderOutput(values + self.error, None, None)


def suffices(n_bits: int, data: TokenData, error: float) -> bool:
    """Say whether so many bits cost at most a percent, with numpy."""
    first = select_events(data.test, torch.arange(min(1000, data.test.n_events)))
    values = first.features.double().numpy()
    low, high = values.min(axis=0), values.max(axis=0)
    size = (high - low) / 2**n_bits
    rounded = low + (np.clip(np.floor((values - low) / size), 0, 2**n_bits - 1) + 0.5) * size
    return bool(((rounded + error - values) ** 2).mean() <= 1.01 * error**2)


@pytest.mark.parametrize("error", [0.5, 0.1, 0.01, 0.001])
def test_one_bit_less_than_rounding_takes_costs_more_than_a_percent(event_data: TokenData, error: float) -> None:
    numbers = measure_rounding(ShiftingModel(error), event_data.test, event_data.dims, batch_size=64)

    n_bits = int(numbers["bits_per_token"]) // event_data.dims.n_features
    assert 1 < n_bits < 17
    assert suffices(n_bits, event_data, error) and not suffices(n_bits - 1, event_data, error)


def test_rounding_is_not_measured_where_sixteen_bits_do_not_do(event_data: TokenData) -> None:
    assert measure_rounding(ShiftingModel(1e-6), event_data.test, event_data.dims, batch_size=64) == {}


def test_rounding_takes_no_bit_where_latents_do_not_matter(event_data: TokenData) -> None:
    model = ShiftingModel(0.1)
    model.decode = lambda values, lengths: DecoderOutput(
        torch.zeros(len(values), event_data.dims.n_features), None, None
    )

    numbers = measure_rounding(model, event_data.test, event_data.dims, batch_size=64)

    assert numbers == {"bits_per_token": 0.0}


def test_rounding_costs_a_bounded_number_of_events(event_data: TokenData) -> None:
    model = ShiftingModel(0.1)

    measure_rounding(model, event_data.train, event_data.dims, batch_size=64, most_events=100)

    assert 0 < model.n_encoded <= 100
    assert model.n_decoded <= 6 * 100


def test_rounding_compares_matched_tokens_where_the_run_does(event_data: TokenData) -> None:
    def shift_places(values: Tensor, lengths: Tensor) -> DecoderOutput:
        places = torch.cat(
            [torch.arange(part.shape[0]).roll(1) + start for part, start in split_places(values, lengths)]
        )
        return DecoderOutput(values.index_select(0, places) + 0.01, None, None)

    expected = measure_rounding(ShiftingModel(0.01), event_data.test, event_data.dims, batch_size=64)
    model = ShiftingModel(0.01)
    model.decode = shift_places

    matched = measure_rounding(model, event_data.test, event_data.dims, batch_size=64, matches=True)

    assert matched == expected
    assert measure_rounding(model, event_data.test, event_data.dims, batch_size=64) != expected


def split_places(values: Tensor, lengths: Tensor) -> list[tuple[Tensor, int]]:
    """Return the tokens of each event and the place of the first of them."""
    starts = (lengths.cumsum(0) - lengths).tolist()
    return list(zip(values.split(lengths.tolist()), starts, strict=True))


def test_rounding_needs_tokens(event_data: TokenData) -> None:
    lengths = event_data.test.lengths
    empty = select_events(event_data.test, (lengths == 0).nonzero()[:, 0])

    assert empty.n_events > 0
    assert measure_rounding(ShiftingModel(0.1), empty, event_data.dims, batch_size=64) == {}


def test_round_values_moves_none_by_more_than_half_a_cell() -> None:
    values = torch.rand(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 8.0, 0.0]) + 1
    low, high = values.amin(dim=0), values.amax(dim=0)

    rounded = round_values(values, low, high, n_bits=4)

    assert ((rounded - values).abs() <= (high - low) / 32 + 1e-6).all()
    assert len(rounded[:, 0].unique()) == 16
    assert torch.equal(rounded[:, 2], values[:, 2])


def test_codes_cost_the_logarithm_of_their_number_and_of_their_perplexity() -> None:
    counts = np.array([[5, 5, 5, 5], [10, 10, 0, 0]])

    assert measure_codes((4, 4), counts) == {"bits_per_token": 4.0, "entropy_bits": pytest.approx(3.0)}
    assert measure_codes((512,), np.arange(512))["entropy_bits"] < 9.0
    assert measure_codes((8,), np.zeros(8, dtype=np.int64)) == {"bits_per_token": 3.0}
    assert measure_codes((8,), None) == {"bits_per_token": 3.0}


@pytest.fixture
def train_small(compose_cfg, tmp_path: Path) -> Callable[..., Path]:
    """Train a small model and return the folder of its facts."""

    def run(*overrides: str) -> Path:
        (tmp_path / "run").mkdir()
        train(compose_cfg(*FEW, *overrides))
        return tmp_path / "run/facts"

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "measured"),
    [
        (("phase1/latent_space=none", "phase1.latent_space.latent_dim=3"), NUMBERS[:1]),
        (("phase1/latent_space=linear", "phase1.trainer.precision=bf16"), NUMBERS[:1]),
        (("phase1/latent_space=kl",), [NUMBERS[0], NUMBERS[2]]),
        (("phase1/latent_space=fsq",), NUMBERS[:2]),
        (("phase1/latent_space=vq",), NUMBERS[:2]),
        (("phase1/latent_space=rvq", "phase1.latent_space.codebook_size=16"), NUMBERS[:2]),
    ],
)
def test_run_records_its_compression_once(train_small, overrides: tuple[str, ...], measured: list[str]) -> None:
    facts = train_small("phase1.trainer.lr=0.01", "phase1.trainer.epochs=3", *overrides)

    rows = read_scalars(facts).set_index("split")[NUMBERS]
    assert list(rows.loc["test"].dropna().index) == measured
    assert rows.drop(index="test").isna().all(axis=None)
    test = read_events(facts)[-1]["metrics"]["test"]
    assert test["bits_per_token"] == rows.loc["test", "metric_bits_per_token"] > 0
    if "kl" in test:
        assert test["kl_bits"] == pytest.approx(test["kl"] / math.log(2))


def test_arrays_of_a_stack_hold_a_row_per_quantiser(train_small) -> None:
    keys = ("phase1.latent_space.codebook_size=16", "phase1.latent_space.n_quantizers=3")
    facts = train_small("phase1/latent_space=rvq", *keys)
    test, counts = read_events(facts)[-1]["metrics"]["test"], read_arrays(facts)["test_codes"]
    n_tokens = read_events(facts)[0]["data"]["splits"]["test"]["n_tokens"]

    assert counts.shape == (3, 16)
    assert counts.sum(axis=1).tolist() == [n_tokens] * 3
    shares = counts / n_tokens
    entropies = -(shares * np.log(shares, out=np.zeros_like(shares), where=shares > 0)).sum(axis=1)
    assert test["perplexity"] == pytest.approx(np.exp(entropies).mean())
    assert test["entropy_bits"] == pytest.approx(entropies.sum() / math.log(2))
    assert test["n_dead_codes"] == (counts == 0).sum()
    assert test["usage"] == pytest.approx(1 - test["n_dead_codes"] / 48)
    assert test["bits_per_token"] == 12
