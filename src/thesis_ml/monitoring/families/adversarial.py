"""The balance of a critic and its autoencoder, per epoch."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_ml.facts.schema import History
from thesis_ml.monitoring import io_utils, scales

PANELS: Mapping[str, Mapping[str, str]] = {
    "critic loss": {"critic_loss": ""},
    "mean score": {"score_real": "real", "score_fake": "reconstructed"},
    "critic accuracy": {"critic_accuracy": ""},
    "term, unweighted": {"adversarial": "adversarial", "feature_matching": "feature matching"},
    "gradient norm": {"gradient_norm_rec": "reconstruction", "gradient_norm_adversarial": "adversarial"},
    "adversarial weight": {"adversarial_weight": ""},
    "gradient penalty": {"gradient_penalty": ""},
}
"""By label of a panel: its numbers, and their legend entries where there are two."""

ADVERSARIAL_METRICS = tuple(name for names in PANELS.values() for name in names)
CHANCE = 0.5


def draw_adversarial(history: History) -> Figure | None:
    """Draw losses, scores, accuracy and gradients of a critic, or nothing without one."""
    measured = {*history.names("train"), *history.names("val")}
    panels = {label: names for label, names in PANELS.items() if measured & set(names)}
    if not history.epochs or not panels:
        return None
    figure, rows = io_utils.new_panels("epoch", list(panels))
    for axes, (label, names) in zip(rows, panels.items(), strict=True):
        for name, called in names.items():
            _draw_number(axes, history, name, called)
        if label == "critic accuracy":
            axes.axhline(CHANCE, color=io_utils.REFERENCE_COLOUR, linewidth=0.8, linestyle=":", label="cannot tell")
        else:
            scales.use_log_scale_if_wide(axes)
        io_utils.draw_legend(axes)
    return figure


def _draw_number(axes: Axes, history: History, name: str, called: str) -> None:
    """Draw a number of both splits; two numbers of a panel differ in colour, splits of one number too."""
    for split in ("train", "val"):
        if name in history.names(split):
            io_utils.draw_epochs(
                axes,
                history.epochs,
                history.series(split, name),
                split=split,
                label=f"{called} ({split})" if called else split,
                colour=io_utils.choose_colour(name) if called else None,
            )
