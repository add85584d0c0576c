"""The trackers that the numbers of a run can be forwarded to; each package is imported only when it is chosen."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from thesis_ml.errors import ConfigError


@dataclass(frozen=True)
class TrackedRun:
    """The identity of a run in its facts, the name of its folder, and its parsed configuration as plain values."""

    run_id: str
    name: str
    config: Mapping[str, Any]


class Tracker(Protocol):
    """A destination of the measured numbers of one run."""

    def log_epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Log the numbers of one epoch, by names such as `val/rec_mse`."""

    def log_test(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Log the numbers of the test split, by names such as `test/rec_mse`."""

    def close(self, *, is_complete: bool) -> None:
        """Write pending numbers and close the tracker."""


TRACKERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tensorboard": ("thesis_ml.monitoring.trackers.tensorboard:TensorboardTracker", ("tensorboard",)),
    "wandb": ("thesis_ml.monitoring.trackers.wandb:WandbTracker", ("wandb",)),
    "mlflow": ("thesis_ml.monitoring.trackers.mlflow:MlflowTracker", ("mlflow", "sqlalchemy", "alembic")),
}
"""The target `module:class` of each tracker, and the packages of the extra of the same name."""


def refuse_missing_packages(name: str, where: str) -> None:
    """Raise unless the packages of the tracker `name` are installed; `none` needs none.

    Raises:
        ConfigError: A package is missing.
    """
    packages = TRACKERS[name][1] if name in TRACKERS else ()
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        raise ConfigError(
            f"{where}: {name!r} needs {', '.join(missing)}, which is not installed; install the extra with "
            f"pip install 'thesis-ml[{name}]' (in a checkout: pip install -e '.[{name}]')"
        )


def _is_installed(package: str) -> bool:
    # A folder of that name in the working directory, such as one that wandb wrote, has a spec but no origin.
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None
