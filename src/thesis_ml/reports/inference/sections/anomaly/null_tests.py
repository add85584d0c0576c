"""Null tests and overtraining checks."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from thesis_ml.metrics.auroc import measure_auroc, measure_paired_auroc
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.utils.arrays import NDArray

HELD_OUT = "held_out"
"""Background that the models were not trained on against background that they were trained on."""

MOST_ERRORS = 3.0
EXACT = 1e-6
EXACTLY = "exactly 0.5"
"""Allowed of a score that cannot depend on what is changed."""

HELD_OUT_TOLERANCE = 0.02
FEWEST_CHECKED = 20
"""Of fewer events the standard error says nothing: it is 0 where all of two events moved alike."""

ROUNDING = 1e-4
"""Scores that agree to this share are equal: sums in another order differ in their last digits."""

RANK_ROUNDING = 1e-12
"""How far the AUROC of equal scores may be from one half."""


class NullCheck(NamedTuple):
    """One null test: an AUROC that must be one half.

    Args:
        null: One of NULLS, or HELD_OUT.
        scorer: Whose score.
        score: Its name.
        auroc: Should be one half.
        tolerance: How far it may be from one half.
        rule: What is allowed, in words.
    """

    null: str
    scorer: str
    score: str
    auroc: Measured
    tolerance: float
    rule: str

    @property
    def holds(self) -> bool:
        """Whether the score sees no more than it may."""
        return abs(self.auroc.value - 0.5) <= self.tolerance

    @property
    def chance(self) -> float:
        """How probable it is that a score which sees nothing fails; 0 where it cannot vary."""
        if self.tolerance == EXACT or not self.auroc.error > 0:
            return 0.0
        return math.erfc(self.tolerance / self.auroc.error / math.sqrt(2))


def check_nulls(scored: EventScores) -> list[NullCheck]:
    """Return a check of every score and null among the variants; a reflection is one for symmetric events alone.

    Of fewer than FEWEST_CHECKED events only scores are checked that cannot depend on what is changed.
    """
    exact = {BASELINE: tuple(NULLS)} | {model.name: model.exact_nulls for model in scored.models}
    checks = []
    for variant in scored.variants:
        plan = variant.plan
        if not isinstance(plan, NullPlan) or (plan.name == "eta_reflection" and not scored.is_symmetric):
            continue
        for scorer in exact:
            for score, changed in scored.table.get((scorer, variant.name), {}).items():
                auroc = measure_null(scored.find_clean(scorer)[score], changed)
                is_exact = plan.name in exact[scorer]
                if math.isnan(auroc.error) or (not is_exact and len(changed) < FEWEST_CHECKED):
                    continue
                tolerance, rule = (EXACT, EXACTLY) if is_exact else allow_errors(auroc)
                checks.append(NullCheck(plan.name, scorer, score, auroc, tolerance, rule))
    return checks


def check_held_out(scored: EventScores) -> list[NullCheck]:
    """Return for every score how it tells held-out background from events of the training split.

    An AUROC above one half means that the model knows the events that it was trained on. The events must be of the
    classes that a model was trained on.
    """
    is_background = np.isin(scored.labels, scored.background)
    checks = []
    for scorer, scores in scored.training.items():
        for score, seen in scores.items():
            held_out = scored.find_clean(scorer)[score][is_background]
            auroc = measure_auroc(np.concatenate((held_out, seen)), np.repeat([1, 0], [len(held_out), len(seen)]))
            if math.isnan(auroc.error) or min(len(held_out), len(seen)) < FEWEST_CHECKED:
                continue
            # A split too small to resolve the tolerance is judged by its own error.
            resolved = (HELD_OUT_TOLERANCE, f"0.5 ± {HELD_OUT_TOLERANCE:g}")
            tolerance, rule = max(resolved, allow_errors(auroc))
            checks.append(NullCheck(HELD_OUT, scorer, score, auroc, tolerance, rule))
    return checks


def allow_errors(auroc: Measured) -> tuple[float, str]:
    """Return how far an AUROC may be from one half by its error, and that in words."""
    return max(MOST_ERRORS * auroc.error, RANK_ROUNDING), f"0.5 ± {MOST_ERRORS:g} standard errors"


def measure_null(clean: Float[NDArray[Any], " N"], changed: Float[NDArray[Any], " N"]) -> Measured:
    """Return the AUROC of changed against clean scores of the same events; equal but for rounding is equal."""
    return measure_paired_auroc(clean, ignore_rounding(clean, changed))


def ignore_rounding(clean: Float[NDArray[Any], " N"], changed: Float[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    """Return `changed` with the clean score wherever both agree but for rounding."""
    floor = ROUNDING * 1e-2 * float(np.std(clean)) if len(clean) else 0.0
    return np.where(np.isclose(changed, clean, rtol=ROUNDING, atol=floor), clean, changed)
