"""Coordinates of an object in which squared errors add up, so that each can be rounded on its own.

ln E and ln pT say nearly the same thing, and an error in eta changes ln E too. With the standardised columns ln E,
ln pT, eta, cos phi and sin phi as orthogonal axes, an object moves on a surface. These four coordinates are lengths
along it: u, the mean of ln pT and ln E weighted by 1 / scale^2; the arc length in eta at fixed u; phi; and ln(E/p),
which is zero or positive. They neglect that eta and ln(E/p) are not
quite orthogonal, which is little where E/p is near 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from thesis_ml.errors import DataError

LOWEST_GEV = 1e-6
LARGEST_ETA = 80.0
"""The hyperbolic sine of more is no number in single precision."""

_NEWTON_STEPS = 8


@dataclass(frozen=True)
class FlatMetric:
    """The scales that ln pT, ln E and eta are divided by, which weigh them against each other."""

    log_pt: float
    log_e: float
    eta: float

    @property
    def _weights(self) -> tuple[float, float, float]:
        """Weights of ln pT and ln E, and the one that is left for their difference."""
        of_pt, of_e = self.log_pt**-2, self.log_e**-2
        return of_pt, of_e, of_pt * of_e / (of_pt + of_e)

    def flatten(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return `flat_pt` (u), `flat_eta`, `flat_phi` and `flat_E` (from ln(E/p)) of tokens in GeV and radian."""
        of_pt, of_e, of_both = self._weights
        pt, eta = values["pt"].clamp(min=LOWEST_GEV), values["eta"]
        excess = torch.log(values["E"].clamp(min=LOWEST_GEV) / (pt * torch.cosh(eta))).clamp(min=0)
        log_e = torch.log(pt * torch.cosh(eta)) + excess
        return {
            "flat_pt": (of_pt * torch.log(pt) + of_e * log_e) / math.sqrt(of_pt + of_e),
            "flat_eta": self._measure_arc(eta),
            "flat_phi": values["phi"],
            "flat_E": math.sqrt(of_both) * excess,
        }

    def unflatten(self, flat: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return E and pt in GeV, eta and phi of what `flatten` gave; E is never below the momentum."""
        of_pt, of_e, of_both = self._weights
        eta = self._invert_arc(flat["flat_eta"])
        excess = (flat["flat_E"] / math.sqrt(of_both)).clamp(min=0)
        raised = torch.log(torch.cosh(eta)) + excess
        pt = torch.exp(flat["flat_pt"] / math.sqrt(of_pt + of_e) - of_e / (of_pt + of_e) * raised)
        return {"pt": pt, "eta": eta, "phi": flat["flat_phi"], "E": pt * torch.cosh(eta) * torch.exp(excess)}

    def _measure_arc(self, eta: Tensor) -> Tensor:
        """Return the integral of sqrt(of_both tanh^2 + 1 / scale^2) from 0 to eta."""
        at_end, at_start = self._slopes
        steep = math.sqrt(self._weights[2])
        return at_end * torch.asinh(torch.sinh(eta) * (at_end / at_start)) - steep * torch.asinh(
            torch.tanh(eta) * (steep / at_start)
        )

    def _invert_arc(self, arc: Tensor) -> Tensor:
        """Return the eta of an arc length by Newton's method, which starts outside and so never overshoots."""
        at_end, at_start = self._slopes
        # Far away the arc length is at_end |eta| less a constant, which is an upper bound too where scales are extreme.
        lost = math.sqrt(self._weights[2]) * math.asinh(math.sqrt(self._weights[2]) / at_start)
        outside = torch.minimum(arc.abs() / at_start, (arc.abs() + lost) / at_end).clamp(max=LARGEST_ETA)
        eta = torch.sign(arc) * outside
        for _ in range(_NEWTON_STEPS):
            slope = torch.sqrt(self._weights[2] * torch.tanh(eta) ** 2 + at_start**2)
            eta = eta - (self._measure_arc(eta) - arc) / slope
        return eta

    @classmethod
    def from_state(cls, state: Any) -> "FlatMetric":
        """Return the metric whose scales a checkpoint holds.

        Raises:
            DataError: They are not.
        """
        names = [entry.name for entry in fields(cls)]
        if not isinstance(state, Mapping) or sorted(state) != sorted(names):
            raise DataError(f"normaliser: metric is {state!r:.100}; expected {', '.join(names)}")
        for name, scale in state.items():
            if isinstance(scale, bool) or not isinstance(scale, int | float) or not 1e-6 <= scale <= 1e6:
                raise DataError(f"normaliser: metric.{name} is {scale!r:.40}; expected a scale from 1e-6 to 1e6")
        return cls(**state)

    @property
    def _slopes(self) -> tuple[float, float]:
        """The arc length per unit of eta far away and at 0."""
        at_start = 1 / self.eta
        return math.sqrt(self._weights[2] + at_start**2), at_start
