"""Every combination of encoder, decoder and bottleneck that configs/phase1 offers learns, and so does every loss."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from conftest import without_shape_checks
from test_phase1_assembly import GROUPS, NARROW, list_options, read_option
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.diffusion_autoencoder import DiffusionTask, DiffusionTrainerConfig
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.settings import TrainerConfig

pytestmark = pytest.mark.slow

N_STEPS = 30
N_EVENTS = 24
AT_MOST = 0.9
"""Share of the first loss that is left after that many steps on one batch."""

TRAINER = TrainerConfig(epochs=1000, lr=2e-3, schedule="constant", warmup_epochs=0.0)
DENOISING_TRAINER = DiffusionTrainerConfig(epochs=1000, lr=2e-3, schedule="constant", warmup_epochs=0.0)
MODEL_GROUPS = ("encoder", "decoder", "latent_space")
PLAIN = {"encoder": "mlp", "decoder": "mlp", "latent_space": "none", "loss": "mse"}

COMBINATIONS = list(itertools.product(*(list_options(group) for group in MODEL_GROUPS)))
"""All of them: none is refused."""


class Trained(NamedTuple):
    """What some steps on one batch did: losses with their final weights, parameters that got no gradient, features."""

    first_loss: float
    last_loss: float
    untouched: list[str]
    features: Tensor


@pytest.fixture(scope="module")
def few_events() -> TokenData:
    return load_tokens(DataConfig(limit_events=N_EVENTS, synthetic=SyntheticConfig()))


@pytest.fixture(scope="module")
def one_batch(few_events: TokenData) -> TokenBatch:
    (batch,) = iterate_batches(few_events.train, N_EVENTS, generator=None)
    return batch


@pytest.fixture(scope="module")
def train_names(few_events: TokenData, one_batch: TokenBatch) -> Callable[..., Trained]:
    """Train with some names of the groups, and the plain ones of the others, once."""
    known: dict[tuple[str, ...], Trained] = {}

    def find(**names: str) -> Trained:
        chosen = tuple((PLAIN | names).values())
        if chosen not in known:
            known[chosen] = train_steps(few_events, one_batch, **names)
        return known[chosen]

    return find


def train_steps(
    data: TokenData, batch: TokenBatch, options: Mapping[str, Any] = MappingProxyType({}), **names: str
) -> Trained:
    """Train the real task on one batch with the values of the yaml files, but for `options` of some groups."""
    groups = {group: {**read_option(group, name), **options.get(group, {})} for group, name in (PLAIN | names).items()}
    phase1 = parse_model(groups, "phase1")
    loop, kind, trainer = ("ae", AutoencoderTask, TRAINER)
    if phase1.decoder.name == "diffusion":
        loop, kind, trainer = ("diffusion_ae", DiffusionTask, DENOISING_TRAINER)
    config = AutoencoderSettings(loop=loop, data=DataConfig(), phase1=phase1, trainer=trainer, logging=LoggingConfig())
    torch.manual_seed(0)
    task = kind(build_model(phase1, data.dims), data, config)
    optimisation = Optimisation(task, TRAINER, 1)
    touched: set[int] = set()
    for weights in task.model.parameters():
        weights.register_post_accumulate_grad_hook(lambda weights: note_gradient(weights, touched))
    task.model.train()
    losses = []
    for number in range(N_STEPS):
        optimisation.start_batch(0)
        # All steps have the shapes of the first one.
        with nullcontext() if number == 0 else without_shape_checks():
            step = task.train_step(batch, optimisation)
        losses.append(sum(task.weights[name] * value.item() for name, value in step.terms.items()))
    untouched = [name for name, weights in task.model.named_parameters() if id(weights) not in touched]
    return Trained(losses[0], losses[-1], untouched, step.features.detach())


def note_gradient(weights: Tensor, touched: set[int]) -> None:
    if weights.grad.abs().sum() > 0:
        touched.add(id(weights))


@pytest.mark.parametrize(("encoder", "decoder", "latent_space"), COMBINATIONS)
def test_every_combination_learns_with_all_its_parameters(
    train_names: Callable[..., Trained], encoder: str, decoder: str, latent_space: str
) -> None:
    trained = train_names(encoder=encoder, decoder=decoder, latent_space=latent_space)

    assert trained.last_loss <= AT_MOST * trained.first_loss
    assert trained.untouched == []


@pytest.mark.parametrize("energy_weights", ["none", "pt"])
@pytest.mark.parametrize("loss", list_options("loss"))
def test_every_loss_learns(few_events: TokenData, one_batch: TokenBatch, loss: str, energy_weights: str) -> None:
    options = {} if energy_weights == "none" else {"loss": {"energy_weights": energy_weights}}

    trained = train_steps(few_events, one_batch, options, loss=loss)

    assert trained.last_loss <= AT_MOST * trained.first_loss
    assert trained.untouched == []


def test_what_is_trained_here_is_what_the_package_and_the_files_offer() -> None:
    trained = {group: set(names) for group, names in zip(MODEL_GROUPS, zip(*COMBINATIONS, strict=True), strict=True)}

    for group, names in {**trained, "loss": set(list_options("loss"))}.items():
        assert names == set(GROUPS[group]) - set(NARROW) == set(list_options(group))


def list_pairs() -> Iterator[tuple[str, str, str]]:
    for group in (*MODEL_GROUPS, "loss"):
        yield from ((group, *pair) for pair in itertools.combinations(list_options(group), 2))


@pytest.mark.parametrize(("group", "left", "right"), list(list_pairs()))
def test_two_names_of_a_group_do_different_things(
    train_names: Callable[..., Trained], group: str, left: str, right: str
) -> None:
    one, other = (train_names(**{group: name}) for name in (left, right))

    assert not torch.allclose(one.features, other.features)
