"""Time our step loop on ragged batches against a plain loop on padded ones, at an occupancy of 0.5.

The data are the sample's training tokens. Neighbouring events are joined, evenly over the split, until an event has 9
tokens on average; of 18 slots half are then padding, with 4 to 18 tokens in an event.

The padded loop has the same weights and sizes, sends all 18 slots through encoder, bottleneck and decoder, masks its
losses, quantises with one-hot codes, and reads shuffled batches from a DataLoader over a TensorDataset. Its loss terms
must equal ours to 1e-5 on the same batch. Both step with fused AdamW, clip gradients and follow the same schedule.
The ratio is the one of events per second.
"""

import copy
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import BareLoop, configure, join_events, load_data, take_events
from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.autoencoder.bottlenecks.codebook import Codebook
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck
from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder
from thesis_ml.architectures.autoencoder.encoders.mlp import MLPEncoder
from thesis_ml.architectures.autoencoder.losses.globals_loss import globals_loss
from thesis_ml.data.splits import TokenSplit, iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.optimisation import schedule_factor

N_SLOTS = 18
OCCUPANCY = 0.5
N_EVENTS = 16_384
N_ROUNDS = 9
TOLERANCE = 1e-5


class Case(NamedTuple):
    """One line of the table; `required` is the least acceptable ratio of events per second."""

    latent_space: str
    batch_size: int
    required: float


CASES = (Case("none", 128, 1.5), Case("none", 1024, 1.8), Case("vq", 128, 2.0), Case("vq", 1024, 3.0))


class OneHotVQ(nn.Module):
    """The usual VQ with moving averages on all slots; padding is masked out of the averages."""

    codebook: Tensor
    usage: Tensor
    sums: Tensor

    def __init__(self, ours: Codebook) -> None:
        super().__init__()
        self.decay = ours.config.ema_decay
        self.register_buffer("codebook", ours.codebook.detach().clone())
        self.register_buffer("usage", ours.code_usage.clone())
        self.register_buffer("sums", ours.codebook.detach() * ours.code_usage[:, None])

    def forward(self, latents: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantised latents and the commitment loss of every slot; update the codebook."""
        flat = latents.reshape(-1, latents.shape[-1])
        with torch.no_grad():
            norms = flat.square().sum(dim=1, keepdim=True) + self.codebook.square().sum(dim=1)
            codes = torch.addmm(norms, flat, self.codebook.T, alpha=-2).argmin(dim=1)
            one_hot = functional.one_hot(codes, self.codebook.shape[0]).to(flat.dtype)
            quantised = (one_hot @ self.codebook).view_as(latents)
            if self.training:
                real = one_hot * mask.reshape(-1, 1)
                self.usage.lerp_(real.sum(dim=0), 1 - self.decay)
                self.sums.lerp_(real.T @ flat, 1 - self.decay)
                self.codebook.copy_(self.sums / self.usage[:, None])
        commit = (latents - quantised).square().mean(dim=2)
        return latents + (quantised - latents).detach(), commit


class PaddedAutoencoder(nn.Module):
    """The same layers and weights as ours, on all slots of every event."""

    def __init__(self, ours: Autoencoder, weights: Mapping[str, float], log_met_scale: float) -> None:
        super().__init__()
        assert isinstance(ours.encoder, MLPEncoder)
        assert isinstance(ours.decoder, MLPDecoder)
        encoder, decoder = copy.deepcopy(ours.encoder), copy.deepcopy(ours.decoder)
        self.embed_type, self.encode = encoder.inputs.embed_type, encoder.stack
        self.trunk, self.heads = decoder.trunk, decoder.heads
        self.quantise = OneHotVQ(ours.bottleneck.quantiser) if isinstance(ours.bottleneck, VQBottleneck) else None
        self.weights = weights
        self.log_met_scale = log_met_scale

    def forward(self, features: Tensor, types: Tensor, mask: Tensor, event: Tensor) -> dict[str, Tensor]:
        """Return the unweighted loss terms and the type accuracy of a padded batch."""
        spread = event[:, None, :].expand(-1, features.shape[1], -1)
        latents = self.encode(torch.cat((features, self.embed_type(types), spread), dim=2))
        terms = {}
        n_tokens = mask.sum()
        if self.quantise is not None:
            latents, commit = self.quantise(latents, mask)
            terms["commit"] = (commit * mask).sum() / n_tokens
        hidden = self.trunk(latents)
        squares = (self.heads.features(hidden) - features).square().mean(dim=2)
        logits = self.heads.types(hidden)
        entropy = functional.cross_entropy(logits.flatten(0, 1), types.flatten(), reduction="none").view_as(mask)
        is_right = (logits.detach().argmax(dim=2) == types).float()
        lengths = mask.sum(dim=1, keepdim=True)
        mean = (hidden.detach() * mask[:, :, None]).sum(dim=1) / lengths.clamp(min=1)
        predicted = self.heads.globals(torch.cat((mean, torch.log1p(lengths)), dim=1))
        return {
            **terms,
            "rec_tokens": (squares * mask).sum() / n_tokens,
            "rec_types": (entropy * mask).sum() / n_tokens,
            "rec_globals": globals_loss(predicted, event, self.log_met_scale).mean(),
            "type_accuracy": (is_right * mask).sum() / n_tokens,
        }

    def weigh(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the loss."""
        return torch.stack([self.weights[name] * value for name, value in terms.items() if name in self.weights]).sum()


class PaddedLoop:
    """The plain loop: a DataLoader, a padded model, AdamW."""

    def __init__(self, ours: BareLoop) -> None:
        trainer = ours.config.trainer
        self.model = PaddedAutoencoder(ours.task.model, ours.task.weights, ours.task.log_met_scale)
        self.loader = DataLoader(TensorDataset(*pad_split(ours.data.train)), trainer.batch_size, shuffle=True)
        self.optimizer = AdamW(self.model.parameters(), lr=trainer.lr, weight_decay=trainer.weight_decay, fused=True)
        n_steps, n_warmup = len(self.loader) * trainer.epochs, round(trainer.warmup_epochs * len(self.loader))
        self.schedule = LambdaLR(
            self.optimizer, lambda step: schedule_factor(step, n_steps, n_warmup, trainer.schedule)
        )
        self.grad_clip = trainer.grad_clip

    def train_epoch(self) -> None:
        """Train once over the training split."""
        self.model.train()
        for batch in self.loader:
            self.model.weigh(self.model(*batch)).backward()
            if self.grad_clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.grad_clip)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.schedule.step()


def pad_split(split: TokenSplit) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features, types, mask and globals with N_SLOTS slots for every event; padding is 0."""
    mask = torch.arange(N_SLOTS) < split.lengths[:, None]
    features = torch.zeros(*mask.shape, split.features.shape[1])
    types = torch.zeros(mask.shape, dtype=torch.int64)
    features[mask], types[mask] = split.features, split.types
    return features, types, mask.float(), split.globals


def assert_equal_losses(ours: BareLoop, padded: PaddedLoop) -> None:
    """Assert that loss, terms and type accuracy agree on one batch, in evaluation mode so that nothing changes."""
    split = take_events(ours.data.train, ours.config.trainer.batch_size)
    (batch,) = iterate_batches(split, split.n_events, generator=None)
    ours.task.model.eval()
    padded.model.eval()
    with torch.no_grad():
        step = ours.task.eval_step(batch)
        theirs = padded.model(*pad_split(split))
    mine = {**step.terms, **step.metrics}
    assert mine.keys() == theirs.keys(), f"{sorted(mine)} against {sorted(theirs)}"
    pairs = [(name, mine[name], theirs[name]) for name in mine] + [("loss", step.loss, padded.model.weigh(theirs))]
    for name, left, right in pairs:
        assert abs(float(left - right)) <= TOLERANCE * max(1.0, float(left)), f"{name}: {left} against {right}"


def load_half_full(n_events: int) -> TokenData:
    """Return the sample with a training split of occupancy OCCUPANCY."""
    data = load_data(configure())
    joined = join_events(data.train, OCCUPANCY * N_SLOTS, N_SLOTS)
    train = take_events(joined, n_events)
    occupancy = train.n_tokens / (train.n_events * N_SLOTS)
    assert abs(occupancy - OCCUPANCY) < 0.01, f"occupancy {occupancy}"
    return replace(data, train=train)


def make_pair(case: Case, data: TokenData) -> tuple[BareLoop, PaddedLoop]:
    """Return both loops with equal weights, after one epoch that gave all codes their place."""
    config = configure(
        f"phase1/latent_space={case.latent_space}",
        f"phase1.trainer.batch_size={case.batch_size}",
        "phase1.trainer.epochs=100",
    )
    ours = BareLoop(data, config)
    ours.train_epoch()
    padded = PaddedLoop(ours)
    assert_equal_losses(ours, padded)
    return ours, padded


def run_case(case: Case, data: TokenData, n_rounds: int) -> Row:
    """Time epochs of both loops in turn, per 1000 events."""
    ours, padded = make_pair(case, data)
    scale = 1000 / data.train.n_events
    clocks: list[Callable[[], float]] = [
        lambda: scale * time_once(padded.train_epoch),
        lambda: scale * time_once(ours.train_epoch),
    ]
    timing = summarise_rounds(run_rounds(clocks, n_rounds))
    return Row(f"{case.latent_space}, batch {case.batch_size}", timing, timing.ratio, case.required)


def main() -> int:
    """Print the table; return 1 when a ratio is below what is required."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    data = load_half_full(2048 if is_quick else N_EVENTS)
    print("milliseconds per 1000 events of training")
    print_header("padded", "ours")
    rows = []
    for case in CASES:
        row = run_case(case, data, 1 if is_quick else N_ROUNDS)
        rows.append(row)
        print_row(row)
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
