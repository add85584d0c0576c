"""What is measured beside the objective: accuracies, residuals and whatever else a loop records, per epoch."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_ml.facts.schema import History
from thesis_ml.monitoring import io_utils
from thesis_ml.monitoring.families.codebook import CODEBOOK_METRICS
from thesis_ml.monitoring.families.losses import REC_MSE, is_term

RESIDUALS = {"width68_": "68% half-width (val)", "median_": "median residual (val)"}
"""Label of the panel that shows the residuals of all features, by the prefix of their names."""

FEATURE_LABELS = {
    "E": "$E$ (relative)",
    "pt": r"$p_\mathrm{T}$ (relative)",
    "eta": r"$\eta$",
    "phi": r"$\phi$ [rad]",
    "mass": "$m$ [GeV]",
}
METRIC_LABELS = {
    "type_accuracy": "type accuracy",
    "lr": "learning rate",
    "auroc": "AUROC",
    "bce": "cross-entropy",
    "mse": "mean squared error",
}


def draw_metrics(history: History) -> Figure | None:
    """Draw every metric per epoch, the residuals of all features together, or nothing when there is none."""
    names = _list_metrics(history)
    plain = [name for name in names if not name.startswith(tuple(RESIDUALS))]
    prefixes = [prefix for prefix in RESIDUALS if any(name.startswith(prefix) for name in names)]
    if not history.epochs or not names:
        return None
    labels = [METRIC_LABELS.get(name, name.replace("_", " ")) for name in plain]
    figure, panels = io_utils.new_panels("epoch", [*labels, *(RESIDUALS[prefix] for prefix in prefixes)])
    for axes, name in zip(panels, plain, strict=False):
        _draw_splits(axes, history, name)
    for axes, prefix in zip(panels[len(plain) :], prefixes, strict=True):
        _draw_residuals(axes, history, prefix)
    for axes in {panels[0], panels[len(plain)] if prefixes else panels[0]}:
        io_utils.draw_legend(axes)
    return figure


def _list_metrics(history: History) -> list[str]:
    names = dict.fromkeys((*history.names("val"), *history.names("train")))
    elsewhere = (REC_MSE, *CODEBOOK_METRICS)
    return [name for name in names if not is_term(name) and name not in elsewhere]


def _draw_splits(axes: Axes, history: History, name: str) -> None:
    for split in ("train", "val"):
        if name in history.names(split):
            io_utils.draw_epochs(axes, history.epochs, history.series(split, name), split=split, label=split)
    io_utils.draw_test_value(axes, history.best_epoch, history.test.get(name, math.nan))
    io_utils.use_log_scale_if_wide(axes)


def _draw_residuals(axes: Axes, history: History, prefix: str) -> None:
    """Draw the residuals of the validation split, the only one they are measured on in every epoch."""
    features = [name.removeprefix(prefix) for name in history.names("val") if name.startswith(prefix)]
    for feature in features:
        io_utils.draw_epochs(
            axes,
            history.epochs,
            history.series("val", prefix + feature),
            split="val",
            label=FEATURE_LABELS.get(feature, feature),
            colour=io_utils.choose_colour(feature),
        )
    if prefix == "median_":
        axes.axhline(0.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
    io_utils.use_log_scale_if_wide(axes)
