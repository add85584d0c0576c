"""Metrics per epoch that are no term of the objective, such as accuracies."""

from matplotlib.figure import Figure

from thesis_ml.facts.schema import DATA_WAIT, MEAN_ERROR, SAMPLE_ERROR, History
from thesis_ml.monitoring import io_utils
from thesis_ml.monitoring.families.adversarial import ADVERSARIAL_METRICS
from thesis_ml.monitoring.families.codebook import CODEBOOK_METRICS
from thesis_ml.monitoring.families.losses import REC_MSE, is_term
from thesis_ml.monitoring.families.recon import RESIDUAL_LABELS

METRIC_LABELS = {
    "type_accuracy": "type accuracy",
    "lr": "learning rate",
    "auroc": "AUROC",
    "bce": "cross-entropy",
    "mse": "mean squared error",
}


def draw_metrics(history: History) -> Figure | None:
    """Draw every metric per epoch that no other family draws, or nothing when there is none."""
    names = _list_metrics(history)
    if not history.epochs or not names:
        return None
    labels = [METRIC_LABELS.get(name, name.replace("_", " ")) for name in names]
    figure, panels = io_utils.new_panels("epoch", labels)
    for axes, name in zip(panels, names, strict=True):
        io_utils.draw_splits(axes, history, name)
    io_utils.draw_legend(panels[0])
    return figure


def _list_metrics(history: History) -> list[str]:
    names = dict.fromkeys((*history.names("val"), *history.names("train")))
    elsewhere = (REC_MSE, "auroc_error", DATA_WAIT, SAMPLE_ERROR, MEAN_ERROR, *CODEBOOK_METRICS, *ADVERSARIAL_METRICS)
    return [
        name for name in names if not (is_term(name) or name in elsewhere or name.startswith(tuple(RESIDUAL_LABELS)))
    ]
