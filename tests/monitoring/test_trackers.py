"""Trackers get the numbers of the facts, cannot fail a run, and are closed at its end.

TensorBoard is tested as it is. The packages of wandb and mlflow are larger than all others of the tests together, so
that modules that record how they are called stand in for them.
"""

import importlib
import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_type_hints

import pytest

from monitoring.histories import make_history
from thesis_ml.errors import ConfigError
from thesis_ml.facts.recorder import open_recorder
from thesis_ml.facts.schema import EpochFacts, RunMeta
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.orchestrator import TrackerFeed, build_tracking, list_epoch_numbers
from thesis_ml.monitoring.trackers import TRACKERS, TrackedRun, refuse_missing_packages

RUN = TrackedRun("0123abcd", "run_1", {"loop": "ae", "phase1": {"trainer": {"lr": 1e-3}}})


class Recorded(NamedTuple):
    """One call of a package."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


class Recording:
    """An object of a package that records every call of its methods; some give back what the test says."""

    def __init__(self, calls: list[Recorded], **results: Any) -> None:
        self._calls = calls
        self._results = results

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._calls.append(Recorded(name, arguments, options))
            return self._results.get(name)

        return call


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put modules in the place of packages that are not installed."""

    def install_module(name: str, **members: Any) -> None:
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)

    yield install_module
    for name in ("wandb", "mlflow"):
        sys.modules.pop(f"thesis_ml.monitoring.trackers.{name}", None)


@pytest.fixture
def wandb_calls(install: Callable[..., None]) -> list[Recorded]:
    calls: list[Recorded] = []
    run = Recording(calls)
    run.summary = Recording(calls)
    install("wandb", init=Recording(calls, init=run).init, Settings=dict)
    return calls


@pytest.fixture
def mlflow_calls(install: Callable[..., None]) -> list[Recorded]:
    """A server that knows epoch 0 of the run already."""
    calls: list[Recorded] = []
    info = types.SimpleNamespace(run_id="theirs", experiment_id="7")
    known = types.SimpleNamespace(info=info, data=types.SimpleNamespace(metrics={"train/loss": 1.0}))
    point = types.SimpleNamespace(step=0)
    answers = {
        "get_experiment_by_name": info,
        "search_runs": [known],
        "get_metric_history": [point],
    }
    install("mlflow")
    install("mlflow.entities", Metric=lambda *values: values, Param=lambda *values: values, Run=object)
    install("mlflow.tracking", MlflowClient=lambda **_: Recording(calls, **answers))
    return calls


def find_calls(calls: list[Recorded], name: str) -> list[Recorded]:
    return [call for call in calls if call.name == name]


def feed_run(name: str, folder: Path, last_moment: str = "on_test_end") -> None:
    feed = TrackerFeed(name, RUN, folder)
    for n_epochs in (1, 2, 3):
        feed.notify("on_epoch_end", make_history(n_epochs, is_tested=False))
    feed.notify(last_moment, make_history(is_tested=last_moment == "on_test_end"))


def test_epoch_numbers_are_those_of_the_history_without_what_was_not_measured() -> None:
    history = make_history()

    numbers = list_epoch_numbers(history)

    assert numbers["val/rec_mse"] == history.series("val", "rec_mse")[-1]
    assert numbers["train/loss"] == history.latest("train", "loss")
    assert numbers["run/throughput"] == 20_000.0
    assert "val/lr" not in numbers
    assert all(value == value for value in numbers.values())


def test_trackers_are_those_that_can_be_chosen_and_installed() -> None:
    pyproject = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(pyproject)["project"]["optional-dependencies"]

    assert get_args(get_type_hints(LoggingConfig)["tracker"]) == ("none", *TRACKERS)
    others = {"htcondor", "joblib", "optuna", "data", "test"}
    assert set(TRACKERS) == set(extras) - others


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_tracker_whose_package_is_missing_names_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, name, (TRACKERS[name][0], ("a_package_that_nobody_has",)))

    with pytest.raises(ConfigError, match=rf"logging\.tracker: '{name}' needs a_package.*thesis-ml\[{name}\]"):
        refuse_missing_packages(name, "logging.tracker")


def test_a_folder_that_bears_the_name_of_a_package_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TRACKERS, "wandb", ("", ("some_tracker",)))

    with pytest.raises(ConfigError, match="needs some_tracker"):
        refuse_missing_packages("wandb", "tracker")


def test_no_tracker_is_the_default_and_needs_nothing(tmp_path: Path) -> None:
    refuse_missing_packages("none", "logging.tracker")

    assert build_tracking(LoggingConfig(), RUN, tmp_path) == []


def test_wandb_gets_the_run_under_its_run_id_and_stays_offline(
    wandb_calls: list[Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)

    feed_run("wandb", tmp_path / "wandb")

    (init,) = find_calls(wandb_calls, "init")
    assert (init.options["id"], init.options["name"], init.options["mode"]) == ("0123abcd", "run_1", "offline")
    assert [call.options["step"] for call in find_calls(wandb_calls, "log")] == [0, 1, 2]
    assert find_calls(wandb_calls, "log")[2].arguments[0] == list_epoch_numbers(make_history(3, is_tested=False))
    assert find_calls(wandb_calls, "update")[0].arguments[0]["test/loss"] == make_history().test["loss"]
    assert wandb_calls[-1] == Recorded("finish", (), {"exit_code": 0})


def test_wandb_goes_online_when_its_user_says_so(
    wandb_calls: list[Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")

    feed_run("wandb", tmp_path)

    assert find_calls(wandb_calls, "init")[0].options["mode"] == "online"


def test_mlflow_gets_the_epochs_that_it_does_not_have_yet(mlflow_calls: list[Recorded], tmp_path: Path) -> None:
    feed_run("mlflow", tmp_path / "mlflow")

    (search,) = find_calls(mlflow_calls, "search_runs")
    assert "0123abcd" in search.options["filter_string"]
    batches = [call.options["metrics"] for call in find_calls(mlflow_calls, "log_batch")]
    assert [batch[0][3] for batch in batches] == [1, 2, 2]
    assert {name: value for name, value, _, _ in batches[-1]}["test/loss"] == make_history().test["loss"]
    assert mlflow_calls[-1] == Recorded("set_terminated", ("theirs",), {"status": "FINISHED"})


@pytest.mark.parametrize("moment", ["on_interrupt", "on_exception"])
def test_tracker_of_a_run_that_does_not_finish_is_closed_as_failed(
    mlflow_calls: list[Recorded], wandb_calls: list[Recorded], tmp_path: Path, moment: str
) -> None:
    feed_run("mlflow", tmp_path, moment)
    feed_run("wandb", tmp_path, moment)

    assert mlflow_calls[-1].options == {"status": "FAILED"}
    assert wandb_calls[-1].options == {"exit_code": 1}


def test_mlflow_parameters_have_full_keys(mlflow_calls: list[Recorded]) -> None:
    flatten = importlib.import_module("thesis_ml.monitoring.trackers.mlflow").flatten

    assert flatten(RUN.config) == {"loop": "ae", "phase1.trainer.lr": "0.001"}


def test_tracker_that_fails_is_left_alone_and_the_run_goes_on(
    install: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []

    def fail(**_: Any) -> None:
        attempts.append(1)
        raise ConnectionError("no network")

    install("wandb", init=fail, Settings=dict)
    feeds = build_tracking(LoggingConfig(tracker="wandb"), RUN, tmp_path)

    with open_recorder(tmp_path / "facts", meta=RunMeta("r"), metric_names=(), subscribers=feeds) as recorder:
        for epoch in range(3):
            recorder.record_epoch(EpochFacts(epoch, 1, {"val": {"loss": 1.0}}, 1.0, 1.0, 1.0))

    assert len(attempts) == 1
    assert caplog.text.count("TrackerFeed failed at on_epoch_end; the run continues") == 1


def test_tensorboard_keeps_the_epochs_of_a_run_that_goes_on_with_its_test(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from thesis_ml.monitoring.trackers.tensorboard import TensorboardTracker

    run = TrackedRun("abc", "run", {})
    first = TensorboardTracker(run, tmp_path)
    for epoch in range(5):
        first.log_epoch(epoch, {"val/loss": float(epoch)})
    first.close(is_complete=False)

    second = TensorboardTracker(run, tmp_path)
    second.log_test(2, {"test/loss": 1.0})
    second.close(is_complete=True)

    events = EventAccumulator(str(tmp_path / "abc")).Reload()
    assert [event.step for event in events.Scalars("val/loss")] == list(range(5))
    assert [event.step for event in events.Scalars("test/loss")] == [2]
