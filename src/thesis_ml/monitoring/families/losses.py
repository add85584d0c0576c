"""The loss, its terms and the reconstruction error, per epoch."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_ml.facts.schema import LOSS, MEAN_ERROR, SAMPLE_ERROR, History
from thesis_ml.monitoring import io_utils, scales

REC_MSE = "rec_mse"
TERM_PREFIX = "rec_"
TERMS = ("commit", "codebook", "kl", "entropy", "diffusion")
"""Terms of the objective whose name does not begin with `rec_`; any other name is a metric."""


def is_term(name: str) -> bool:
    """Return whether a recorded name is a term of the objective."""
    return name not in (REC_MSE, SAMPLE_ERROR, MEAN_ERROR) and (name.startswith(TERM_PREFIX) or name in TERMS)


def draw_losses(history: History) -> Figure | None:
    """Draw loss, unweighted terms and `rec_mse` of train and val per epoch, or nothing before the first epoch."""
    if not history.epochs:
        return None
    terms = [name for name in history.names("val") if is_term(name)]
    has_rec_mse = REC_MSE in history.names("val")
    labels = ["loss", *["term, unweighted"] * bool(terms), *["reconstruction MSE"] * has_rec_mse]
    figure, panels = io_utils.new_panels("epoch", labels)
    io_utils.draw_splits(panels[0], history, LOSS)
    io_utils.draw_legend(panels[0])
    if terms:
        _draw_terms(panels[1], history, terms)
    if has_rec_mse:
        io_utils.draw_splits(panels[-1], history, REC_MSE)
    return figure


def _draw_terms(axes: Axes, history: History, terms: list[str]) -> None:
    for name in terms:
        for split in ("train", "val"):
            io_utils.draw_epochs(
                axes,
                history.epochs,
                history.series(split, name),
                split=split,
                label=name if split == "val" else "_",
                colour=io_utils.choose_colour(name),
            )
    scales.use_log_scale_if_wide(axes)
    io_utils.draw_legend(axes)
