"""The speed and cost of a training per epoch: events per second, time, memory."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_ml.facts.schema import DATA_WAIT, History
from thesis_ml.monitoring import io_utils, scales

LABELS = {"throughput": "events/s", "epoch_time_s": "time per epoch [s]", "max_memory_mib": "peak memory [MiB]"}
MEMORY = "max_memory_mib"


def draw_latency(history: History) -> Figure | None:
    """Draw training events per second, seconds per epoch and peak memory, or nothing before the first epoch."""
    if not history.epochs:
        return None
    has_memory = any(value == value for value in history.values(MEMORY))
    names = [name for name in LABELS if name != MEMORY or has_memory]
    figure, panels = io_utils.new_panels("epoch", [LABELS[name] for name in names])
    speed = history.values("throughput")
    io_utils.draw_epochs(panels[0], history.epochs, speed, split="train", label="train")
    io_utils.start_at_zero(panels[0])
    io_utils.draw_legend(panels[0])
    _draw_times(panels[1], history)
    if has_memory:
        _draw_field(panels[2], history, MEMORY, label="of the process or device")
        io_utils.start_at_zero(panels[2])
        io_utils.draw_legend(panels[2])
    return figure


def _draw_times(axes: Axes, history: History) -> None:
    _draw_field(axes, history, "epoch_time_s", label="epoch, with validation")
    if DATA_WAIT in history.names("train"):
        io_utils.draw_epochs(
            axes,
            history.epochs,
            history.series("train", DATA_WAIT),
            split="train",
            label="waiting for data",
            colour=io_utils.choose_colour(DATA_WAIT),
        )
    scales.use_log_scale_if_wide(axes)
    io_utils.draw_legend(axes)


def _draw_field(axes: Axes, history: History, name: str, *, label: str) -> None:
    colour = io_utils.choose_colour(name)
    io_utils.draw_epochs(axes, history.epochs, history.values(name), split="run", label=label, colour=colour)
