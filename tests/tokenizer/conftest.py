"""Tokenizers of small models, and events for them."""

import jaxtyping
import numpy as np
import pytest
import torch

from small_tokenizers import KINDS
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events
from thesis_ml.tokenizer.tokenizer import Tokenizer


@pytest.fixture
def make_tokenizer(dims, many_events):
    """Make the tokenizer of a model that saw a few events, so that its codes are placed."""

    def make(kind: str, encoder: str = "mlp", decoder: str = "mlp") -> Tokenizer:
        torch.manual_seed(1)
        parts = {"encoder": {"name": encoder}, "decoder": {"name": decoder}, "loss": {"name": "mse"}}
        config = parse_model({**parts, "latent_space": KINDS[kind]}, "phase1")
        model = build_model(config, dims)
        for _ in range(3):
            model.train()(many_events)
        restored = RestoredModel(model.eval(), config, dims, None, "data", "0", 0, DataConfig())
        return Tokenizer(restored, fingerprint=kind)

    return make


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arguments of wrong types in, as they come from users, whose calls nothing checks."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def events() -> Events:
    """Events of 0 to 9 tokens, the first and the last without any."""
    generator = np.random.default_rng(5)
    lengths = np.array([0, *generator.integers(0, 10, 60), 0])
    n_tokens = lengths.sum()
    pt, eta = 30 + generator.exponential(40, n_tokens), generator.uniform(-2, 2, n_tokens)
    columns = {"E": pt * np.cosh(eta) * 1.05, "pt": pt, "eta": eta, "phi": generator.uniform(-3, 3, n_tokens)}
    met = {"met": generator.exponential(40, len(lengths)), "met_phi": generator.uniform(-3, 3, len(lengths))}
    return Events.without_labels(columns, generator.integers(1, 8, n_tokens), lengths, met)
