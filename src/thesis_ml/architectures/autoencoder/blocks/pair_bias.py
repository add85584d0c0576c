"""Physics of every pair of tokens as a bias of the attention between them."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.blocks.dense_view import view_densely
from thesis_ml.architectures.autoencoder.blocks.pairs import (
    Pairs,
    decode_tokens,
    list_pairs,
    measure_distances,
    subtract_pairs,
)
from thesis_ml.architectures.simple.mlp import MLP, StackConfig
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.data.normalizer import wrap_angle

PAIR_FEATURES = ("E", "pt", "eta", "phi")
"""The features that the bias needs."""

PAIR_HIDDEN = 32

LEAST_DELTA_R = 1e-3
LEAST_KT_GEV = 1e-2
LEAST_Z = 1e-4
LEAST_MASS2_GEV2 = 1e-2
"""Lower limits in the logarithms: the distance of a token to itself is 0, and a detector resolves no less."""

TYPICAL = {"ln_kt": (4.0, 1.5), "ln_z": (-1.2, 0.8), "ln_delta_r": (0.5, 1.0), "ln_m2": (9.0, 2.0)}
"""Mean and spread of pairs of jets of a collider: fixed, so that the inputs are of order one in every batch."""


class PairBias(nn.Module):
    """Map ln kT, ln z, ln Delta R and ln m^2 of every pair to a bias per head.

    Source: Qu et al., Particle Transformer, arXiv:2202.03772, eq. 3, with eta in place of the rapidity.
    """

    def __init__(self, n_heads: int, config: StackConfig, dims: DataDims) -> None:
        super().__init__()
        self.dims = dims
        self.stack = MLP(len(TYPICAL), (PAIR_HIDDEN,), n_heads, config)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "B heads T T"]:
        pairs = list_pairs(batch.lengths)
        with torch.no_grad():
            physics = compute_pair_physics(decode_tokens(batch, self.dims), pairs)
            inputs = [(physics[name] - mean) / spread for name, (mean, spread) in TYPICAL.items()]
        return place_pairs(self.stack(torch.stack(inputs, dim=1)), pairs, batch.lengths)


def compute_pair_physics(tokens: Mapping[str, Float[Tensor, " P"]], pairs: Pairs) -> dict[str, Float[Tensor, " M"]]:
    """Return ln kT, ln z, ln Delta R and ln m^2 of every pair, with kT in GeV and m^2 in GeV^2.

    m^2 is taken from differences of angles and from the masses of both tokens. (E1 + E2)^2 - (p1 + p2)^2 would cancel
    in single precision, and change when the event is turned.

    Args:
        tokens: E and pt in GeV, eta, and phi in radian.
        pairs: Which tokens.
    """
    delta_r = measure_distances(tokens["eta"], tokens["phi"], pairs)
    first, second = (tokens["pt"].index_select(0, side) for side in pairs)
    smaller = torch.minimum(first, second)
    return {
        "ln_kt": (smaller * delta_r).clamp(min=LEAST_KT_GEV).log(),
        "ln_z": (smaller / (first + second)).clamp(min=LEAST_Z).log(),
        "ln_delta_r": delta_r.clamp(min=LEAST_DELTA_R).log(),
        "ln_m2": compute_mass2(tokens, pairs).clamp(min=LEAST_MASS2_GEV2).log(),
    }


def compute_mass2(tokens: Mapping[str, Float[Tensor, " P"]], pairs: Pairs) -> Float[Tensor, " M"]:
    """Return the squared invariant mass of every pair in GeV^2, without differences of large numbers."""
    momentum = tokens["pt"] * torch.cosh(tokens["eta"])
    mass2 = ((tokens["E"] - momentum) * (tokens["E"] + momentum)).clamp(min=0)
    energy = torch.sqrt(momentum.square() + mass2)
    (e1, e2), (p1, p2), (m1, m2), (pt1, pt2) = (
        (values.index_select(0, pairs.receivers), values.index_select(0, pairs.senders))
        for values in (energy, momentum, mass2, tokens["pt"])
    )
    half_eta = 0.5 * subtract_pairs(tokens["eta"], pairs)
    half_phi = 0.5 * wrap_angle(subtract_pairs(tokens["phi"], pairs))
    opening = 4 * pt1 * pt2 * (torch.sinh(half_eta).square() + torch.sin(half_phi).square())
    # E1 E2 - |p1| |p2|, times its sum over its sum
    massive = (p1.square() * m2 + p2.square() * m1 + m1 * m2) / (e1 * e2 + p1 * p2)
    return m1 + m2 + 2 * massive + opening


def place_pairs(
    values: Float[Tensor, "M heads"], pairs: Pairs, lengths: Int[Tensor, " B"]
) -> Float[Tensor, "B heads T T"]:
    """Return the values of all pairs of every event in a padded tensor, receivers before senders, 0 elsewhere."""
    view = view_densely(lengths)
    n_events, longest = view.is_token.shape
    slots = view.slots.index_select(0, pairs.receivers) * longest + view.slots.index_select(0, pairs.senders) % longest
    places = values.new_zeros(n_events * longest * longest, values.shape[1]).index_copy_(0, slots, values)
    return places.view(n_events, longest, longest, values.shape[1]).permute(0, 3, 1, 2)
