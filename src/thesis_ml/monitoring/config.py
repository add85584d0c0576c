"""The options of facts, figures and trackers, which a user sets below `logging`."""

import re
from dataclasses import dataclass, field
from string import Formatter
from typing import Annotated, Literal

from thesis_ml.limits import at_least, between, require
from thesis_ml.utils.retries import RETRY_S

DRAWING_MOMENTS = ("on_epoch_end", "on_train_end", "on_test_end")
"""The moments at which figures can be drawn, in the order they come."""

NAMING_FIELDS = ("family", "epoch", "moment")
FORBIDDEN_IN_NAMES = '<>:"/\\|?*'
"""Characters that some file system refuses, or that would lead out of the folder of figures."""
LONGEST_NAME_BYTES = 150
"""File systems allow 255 bytes; the rest is for family names and endings."""


@dataclass(frozen=True)
class FamilySwitches:
    """Switches of the plot families; a loop draws those of them that it supports."""

    losses: Annotated[bool, "loss, its terms and rec_mse per epoch"] = True
    metrics: Annotated[bool, "accuracies and other metrics per epoch"] = True
    recon: Annotated[bool, "residuals per epoch; truth, reconstruction and residuals per physical feature"] = True
    codebook: Annotated[bool, "perplexity, usage, dead codes and tokens per code (quantisers only)"] = True
    latency: Annotated[bool, "events/s, time, wait for data and peak memory per epoch"] = True
    adversarial: Annotated[bool, "critic loss, scores, accuracy and gradient norms per epoch (gan_ae only)"] = True
    diffusion: Annotated[bool, "samples, their coverage, the denoiser by time (diffusion_ae only)"] = True


@dataclass(frozen=True)
class LoggingConfig:
    """The files and figures that a run writes."""

    save_artifacts: Annotated[bool, "write facts, checkpoints, figures and logs"] = True
    make_plots: Annotated[bool, "draw figures, into figures/ of the run"] = True
    show_plots: Annotated[bool, "also open each figure once in the desktop's viewer, when there is a desktop"] = False
    fig_format: Literal["png", "pdf", "svg"] = "png"
    dpi: Annotated[int, between(30, 1200), "dots per inch of a png"] = 150
    file_naming: Annotated[str, "file name; {family} is needed, {epoch} and {moment} keep earlier figures"] = "{family}"
    families: FamilySwitches = field(default_factory=FamilySwitches)
    moments: Annotated[tuple[str, ...], "when figures are drawn: any of on_epoch_end, on_train_end, on_test_end"] = (
        "on_test_end",
    )
    tracker: Annotated[
        Literal["none", "tensorboard", "wandb", "mlflow"],
        "also send the numbers there; each needs the extra of its name",
    ] = "none"
    retry_s: Annotated[
        float, at_least(0), "seconds for which a write that fails is tried again, such as on a full disk; 0: not at all"
    ] = RETRY_S

    def __post_init__(self) -> None:
        for moment in self.moments:
            require(moment in DRAWING_MOMENTS, "moments", f"among {', '.join(DRAWING_MOMENTS)}", moment)
        naming = (
            "a plain short file name with {family} and, if wanted, {epoch} and {moment}, "
            "such as '{family}_epoch{epoch:03d}'"
        )
        require(_is_naming(self.file_naming), "file_naming", naming, self.file_naming)
        can_write = self.save_artifacts or self.tracker == "none"
        require(can_write, "tracker", "none when save_artifacts is false: it writes to the run folder", self.tracker)


def _is_naming(text: str) -> bool:
    """Return whether every family gets a file name of its own that all file systems allow."""
    try:
        parts = [part for part in Formatter().parse(text) if part[1] is not None]
        fields = {name for _, name, _, _ in parts}
        # A format may ask for a billion digits, or for the first letter of a family, which other families share.
        forms = [re.fullmatch(r"|0?\d{1,2}d?" if name == "epoch" else "", form or "") for _, name, form, _ in parts]
        if not all(forms) or not {"family"} <= fields <= set(NAMING_FIELDS):
            return False
        example = text.format(family="losses", epoch=0, moment="on_test_end")
    except ValueError:
        return False
    is_plain = example.isprintable() and len(example.encode()) <= LONGEST_NAME_BYTES
    return is_plain and not any(mark in example for mark in FORBIDDEN_IN_NAMES) and example == example.strip(" .")
