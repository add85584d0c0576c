"""The trackers that the numbers of a run can be forwarded to; each package is imported only when it is chosen."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from thesis_ml.errors import ConfigError


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run.

    Args:
        run_id: The identity of the run in its facts, which it has in the tracker too.
        name: What people call it, the name of its folder.
        config: The parsed experiment as plain values.
    """

    run_id: str
    name: str
    config: Mapping[str, Any]


class Tracker(Protocol):
    """Where the numbers of one run go; numbers that were not measured are not among them."""

    def log_epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of one epoch, by names such as `val/rec_mse`."""

    def log_test(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Take the numbers of the test split, by names such as `test/rec_mse`."""

    def close(self, *, is_complete: bool) -> None:
        """Write what is left; nothing comes afterwards."""


class TrackerKind(NamedTuple):
    """Where a tracker is, and what it needs: `module:class`, and the packages of the extra that bears its name."""

    target: str
    packages: tuple[str, ...]


TRACKERS: Mapping[str, TrackerKind] = {
    "tensorboard": TrackerKind("thesis_ml.monitoring.trackers.tensorboard:TensorboardTracker", ("tensorboard",)),
    "wandb": TrackerKind("thesis_ml.monitoring.trackers.wandb:WandbTracker", ("wandb",)),
    "mlflow": TrackerKind("thesis_ml.monitoring.trackers.mlflow:MlflowTracker", ("mlflow", "sqlalchemy", "alembic")),
}


def refuse_missing_packages(name: str, where: str) -> None:
    """Raise unless the packages of the tracker `name` are installed; `none` needs none.

    Raises:
        ConfigError: One is missing.
    """
    packages = TRACKERS[name].packages if name in TRACKERS else ()
    missing = [package for package in packages if not _is_installed(package)]
    if missing:
        raise ConfigError(
            f"{where}: {name!r} needs {', '.join(missing)}, which is not installed; install the extra with "
            f"pip install 'thesis-ml[{name}]' (in a checkout: pip install -e '.[{name}]')"
        )


def _is_installed(package: str) -> bool:
    # A folder of that name beside the user, such as one that wandb left, has a spec but no origin.
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None
