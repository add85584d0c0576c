"""The options of what is written and drawn, as a user types them below `logging`."""

import re
from dataclasses import dataclass, field
from string import Formatter
from typing import Literal

from thesis_ml.config import require, require_between
from thesis_ml.errors import ConfigError

DRAWING_MOMENTS = ("on_epoch_end", "on_train_end", "on_test_end")
"""The moments at which figures can be drawn, in the order they come."""

NAMING_FIELDS = ("family", "epoch", "moment")
FORBIDDEN_IN_NAMES = '<>:"/\\|?*'
"""What some file system refuses, and what would leave the figures' folder."""
LONGEST_NAME_BYTES = 150
"""File systems take 255; family names and endings differ."""


@dataclass(frozen=True)
class FamilySwitches:
    """Which plot families are drawn; a loop draws those of them that it has."""

    losses: bool = True
    metrics: bool = True
    recon: bool = True
    codebook: bool = True
    latency: bool = True
    adversarial: bool = True
    diffusion: bool = True


@dataclass(frozen=True)
class LoggingConfig:
    """What a run writes and draws; configs/logging says what each key means."""

    save_artifacts: bool = True
    make_plots: bool = True
    show_plots: bool = False
    fig_format: Literal["png", "pdf", "svg"] = "png"
    dpi: int = 150
    file_naming: str = "{family}"
    families: FamilySwitches = field(default_factory=FamilySwitches)
    moments: tuple[str, ...] = ("on_test_end",)
    tracker: Literal["none", "tensorboard", "wandb", "mlflow"] = "none"

    def __post_init__(self) -> None:
        require_between(self, 30, 1200, "dpi")
        for moment in self.moments:
            require(moment in DRAWING_MOMENTS, "moments", f"among {', '.join(DRAWING_MOMENTS)}", moment)
        _refuse_bad_naming(self.file_naming)
        can_write = self.save_artifacts or self.tracker == "none"
        require(can_write, "tracker", "none when save_artifacts is false: it writes to the run folder", self.tracker)


def name_figure(file_naming: str, *, family: str, epoch: int, moment: str) -> str:
    """Return the file name of a figure, without its ending."""
    return file_naming.format(family=family, epoch=epoch, moment=moment)


def _refuse_bad_naming(file_naming: str) -> None:
    """Raise unless every family gets a name of its own that all file systems take."""
    try:
        parts = [part for part in Formatter().parse(file_naming) if part[1] is not None]
    except ValueError:
        raise ConfigError(_describe_naming(file_naming)) from None
    fields = {name for _, name, _, _ in parts}
    # A format may ask for a billion digits, or for the first letter of a family, which is that of another too.
    is_short = all(re.fullmatch(r"|0?\d{1,2}d?" if name == "epoch" else "", form or "") for _, name, form, _ in parts)
    if not (is_short and fields <= set(NAMING_FIELDS)):
        raise ConfigError(_describe_naming(file_naming))
    try:
        example = name_figure(file_naming, family="losses", epoch=0, moment="on_test_end")
    except ValueError:
        raise ConfigError(_describe_naming(file_naming)) from None
    is_plain = example.isprintable() and len(example.encode()) <= LONGEST_NAME_BYTES
    is_safe = is_plain and not any(mark in example for mark in FORBIDDEN_IN_NAMES) and example == example.strip(" .")
    if not is_safe or "family" not in fields:
        raise ConfigError(_describe_naming(file_naming))


def _describe_naming(file_naming: str) -> str:
    return (
        f"file_naming: must be a plain short file name with {{family}} and, if wanted, {{epoch}} and {{moment}}, "
        f"such as '{{family}}_epoch{{epoch:03d}}', got {file_naming!r}"
    )
