"""What the engine asks of the data and of the configuration of a loop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from thesis_ml.data.batch import DataDims
from thesis_ml.data.splits import TokenSplit
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.training_loops.trainer import TrainerConfig


@runtime_checkable
class ColumnEncoding(Protocol):
    """How the columns of the data came about; plain values of it go into checkpoints."""

    @property
    def features(self) -> tuple[str, ...]:
        """Physical features that a reconstruction is compared in; none where nothing is reconstructed."""
        ...

    def decode_features(self, encoded: Float[Tensor, "P F"]) -> Float[Tensor, "P C"]: ...

    def to_state(self) -> dict[str, Any]: ...


@runtime_checkable
class RunData(Protocol):
    """Three splits of events, and what is recorded of them."""

    @property
    def train(self) -> TokenSplit: ...

    @property
    def dims(self) -> DataDims: ...

    @property
    def normalizer(self) -> ColumnEncoding: ...

    @property
    def sheet(self) -> Mapping[str, Any]: ...

    @property
    def fingerprint(self) -> str: ...

    def splits(self) -> dict[str, TokenSplit]: ...

    def describe(self) -> str: ...


@runtime_checkable
class RunConfig(Protocol):
    """The parsed configuration of a loop, as far as the engine, the facts and the checkpoints need it.

    Args:
        trainer: The options of the training.
        trainer_key: The key they stand below, for messages.
        logging: What is written and drawn.
        run_dir: Folder of the run, or None when nothing is to be written.
        overrides: What the user typed.
        job_id: Number of the job in its sweep, blank for a single run.
        copy_warning: What the user should know before the first step, if anything.
        n_warmup_epochs: Epochs that begin with another objective than the final one, so that none of them may become
            the best or count for early stopping. Numbers of the validation split are always of the final objective.
    """

    @property
    def trainer(self) -> TrainerConfig: ...

    @property
    def trainer_key(self) -> str: ...

    @property
    def logging(self) -> LoggingConfig: ...

    @property
    def run_dir(self) -> Path | None: ...

    @property
    def overrides(self) -> tuple[str, ...]: ...

    @property
    def job_id(self) -> str: ...

    @property
    def copy_warning(self) -> str | None: ...

    @property
    def n_warmup_epochs(self) -> int: ...

    def describe_extension(self, n_epochs: int) -> str | None:
        """Return what beside the learning rate changes for a run that was started with `n_epochs` epochs, if anything.

        It begins with the key that the change comes from.
        """
        ...

    def read_fingerprint(self) -> str:
        """Return the fingerprint of the data that this configuration asks for, without loading it."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Return what describes the run, without where it was written, as plain JSON values."""
        ...
