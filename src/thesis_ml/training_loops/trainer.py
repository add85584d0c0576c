"""The options of a training, as a user types them below `phase1.trainer`."""

from dataclasses import dataclass
from typing import Literal

from thesis_ml.config import MOST_THREADS, require, require_at_least, require_between, require_positive


@dataclass(frozen=True)
class TrainerConfig:
    """How a loop is trained; configs/phase1/trainer says what each key means."""

    name: str = "ae"
    epochs: int = 10
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.0
    grad_clip: float | None = 1.0
    seed: int = 42
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    n_threads: int | None = 1
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = 0.5
    early_stopping: int | None = None
    accumulate: int = 1
    average_decay: float | None = None
    monitor: str = "rec_mse"
    compile: bool = False
    checkpoint_every_s: float = 300.0
    max_time_s: float | None = None

    def __post_init__(self) -> None:
        require_at_least(self, 1, "epochs", "batch_size", "n_threads", "early_stopping", "accumulate")
        require_at_least(self, 0, "weight_decay", "seed", "warmup_epochs")
        require_positive(self, "lr", "grad_clip", "checkpoint_every_s", "max_time_s")
        require(self.warmup_epochs < self.epochs, "warmup_epochs", f"below epochs ({self.epochs})", self.warmup_epochs)
        require(self.seed < 2**63, "seed", "below 2^63", self.seed)
        require((self.n_threads or 1) <= MOST_THREADS, "n_threads", f"at most {MOST_THREADS}", self.n_threads)
        if self.average_decay is not None:
            require_between(self, 0.0, 1.0, "average_decay")
