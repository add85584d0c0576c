"""MLflow: the server of MLFLOW_TRACKING_URI, by default a database `<folder>/mlflow.db`."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run
from mlflow.tracking import MlflowClient

from thesis_ml.monitoring.trackers import TrackedRun

EXPERIMENT = "thesis-ml"
RUN_ID_TAG = "thesis_ml.run_id"
"""MLflow gives every run its own identity; our run_id is a tag, by which a resumed run is found again."""

MAX_PARAMS = 100
MAX_PARAM_CHARACTERS = 500
"""Most parameters in one request to a server, and most letters of each value."""


class MlflowTracker:
    """Log the numbers of a run, except epochs and tests that were logged before."""

    def __init__(self, run: TrackedRun, folder: Path) -> None:
        uri = os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{(folder / 'mlflow.db').absolute().as_posix()}")
        self._client = MlflowClient(tracking_uri=uri)
        experiment = self._find_experiment(folder)
        found = self._client.search_runs([experiment], filter_string=f"tags.`{RUN_ID_TAG}` = '{run.run_id}'")
        self._run = found[0] if found else self._create_run(experiment, run)
        self._id = self._run.info.run_id
        self._client.update_run(self._id, status="RUNNING")
        self._known_epochs = {point.step for point in self._client.get_metric_history(self._id, "train/loss")}

    def log_epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        if epoch not in self._known_epochs:
            self._log(epoch, numbers)

    def log_test(self, epoch: int, numbers: Mapping[str, float]) -> None:
        known = self._run.data.metrics
        self._log(epoch, {name: value for name, value in numbers.items() if known.get(name) != value})

    def close(self, *, is_complete: bool) -> None:
        self._client.set_terminated(self._id, status="FINISHED" if is_complete else "FAILED")

    def _log(self, epoch: int, numbers: Mapping[str, float]) -> None:
        now_ms = int(1000 * time.time())
        self._client.log_batch(
            self._id, metrics=[Metric(name, value, now_ms, epoch) for name, value in numbers.items()]
        )

    def _find_experiment(self, folder: Path) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        # A server chooses the place of its artifacts itself.
        place = None if "MLFLOW_TRACKING_URI" in os.environ else (folder / "artifacts").absolute().as_uri()
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=place))

    def _create_run(self, experiment: str, run: TrackedRun) -> Run:
        created = self._client.create_run(experiment, run_name=run.name, tags={RUN_ID_TAG: run.run_id})
        params = [Param(name, text[:MAX_PARAM_CHARACTERS]) for name, text in flatten(run.config).items()]
        for first in range(0, len(params), MAX_PARAMS):
            self._client.log_batch(created.info.run_id, params=params[first : first + MAX_PARAMS])
        return created


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of nested groups by their full keys, as text."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return flat
