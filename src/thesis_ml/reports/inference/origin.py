"""Whether a checkpoint is that of the run whose folder holds it: a copied file would be scored under another name."""

import math
from collections.abc import Iterator

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.config import to_plain
from thesis_ml.errors import DataError
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import flatten_config
from thesis_ml.facts.schema import LOSS

DATA_KEYS = ("features", "phi", "mass", "mass_weight", "coordinates")
"""Keys below `data` that the meaning of weights depends on; which events they are the loss tells."""

SAME_LOSS = 1e-6
"""Relative difference of one number that was written twice."""


def refuse_other_run(run: RunFacts, restored: RestoredModel) -> None:
    """Refuse a model that is not the one which the facts of the run describe.

    Raises:
        DataError: They differ in a component, in the data or in what its weights reach.
    """
    reason = next(_list_differences(run, restored), None)
    if reason is not None:
        raise DataError(f"{run.name}: its checkpoint is of another run ({reason}); put its own checkpoint there")


def _list_differences(run: RunFacts, restored: RestoredModel) -> Iterator[str]:
    """Yield what the checkpoint and the facts tell differently; what either does not tell is no difference."""
    data = to_plain(restored.data)
    trained = {"phase1": {**to_plain(restored.config), "trainer": {"seed": restored.seed}}, "loop": restored.loop}
    own = flatten_config({**trained, "data": {key: data[key] for key in DATA_KEYS}})
    # names first: they say the most
    for key in sorted(own, key=lambda key: (not key.endswith(".name"), key)):
        if own[key] is not None and key in run.config and run.config[key] != own[key]:
            yield f"its {key} is {own[key]!r:.60}, that of the run {run.config[key]!r:.60}"
    known = run.key.dataset_fingerprint
    if None not in (restored.dataset_fingerprint, known) and restored.dataset_fingerprint != known:
        yield f"its data have the fingerprint {restored.dataset_fingerprint!r:.40}, those of the run {known!r:.40}"
    losses = dict(zip(run.history.epochs, run.history.series("val", LOSS), strict=True))
    loss = restored.metrics.get(LOSS)
    if restored.epoch is None or loss is None or not losses:
        return
    recorded = losses.get(restored.epoch)
    if recorded is None:
        yield f"it is from epoch {restored.epoch!r:.20}, which the run does not have"
    elif math.isfinite(recorded) and not math.isclose(recorded, loss, rel_tol=SAME_LOSS):
        yield f"its validation loss in epoch {restored.epoch} is {loss:.6g}, that of the run {recorded:.6g}"
