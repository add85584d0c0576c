"""The events of a report: which file, which classes, which of them densities are fitted to, and what is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from data_files import read_dataset, replace_dataset, sample_splits, write_tokens_file
from inference_runs import change_checkpoint, take_objects_away
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import join_events, keep_events
from thesis_ml.data.tokens import SAMPLE_PATH, fingerprint_file, load_events
from thesis_ml.errors import DataError, ReportError
from thesis_ml.reports.contents import InferenceResult
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.events import choose_options, choose_reference, load_signal
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel


def move_data(sweep: Path, path: str) -> None:
    """Let all runs say that they were trained on the file at `path`."""
    for run in sweep.glob("0*"):
        change_checkpoint(run, lambda content: content["config"]["data"].update(synthetic=None, path=path))


def test_data_file_that_is_gone_is_asked_for(sweep: Path, outputs: Path, infer: Callable[..., Path]) -> None:
    move_data(sweep, "/nowhere/events.h5")

    with pytest.raises(ReportError, match="its data file is not there any more: '/nowhere/events\\.h5'; set"):
        infer()
    with pytest.raises(ReportError, match=r"inference.data_path: there is no such file: 'elsewhere.h5'"):
        infer("inference.data_path=elsewhere.h5")
    with pytest.raises(ReportError, match="no model fits the events: its run was trained on other data"):
        infer(f"inference.data_path={SAMPLE_PATH}")

    assert not list((outputs / "reports").glob("*"))


def test_device_is_no_data_file(sweep: Path, infer: Callable[..., Path]) -> None:
    move_data(sweep, "/dev/zero")

    with pytest.raises(ReportError, match="set inference\\.data_path to where the data is now"):
        infer()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inference.background_classes=[7]", "inference.background_classes: no training event has label 7; available"),
        ("inference.signal_file=gone.h5", "inference.signal_file: there is no such file: 'gone.h5'"),
    ],
)
def test_what_has_no_events_is_refused(override: str, message: str, infer: Callable[..., Path]) -> None:
    with pytest.raises(ReportError, match=re.escape(message)):
        infer(override)


def test_signal_file_without_names_says_so(tmp_path: Path) -> None:
    write_tokens_file(tmp_path / "signal.h5", sample_splits())
    with h5py.File(tmp_path / "signal.h5", "r+") as file:
        del file.attrs["label_meaning"]
    options = DataConfig(path=str(SAMPLE_PATH))

    found = load_signal(
        options, load_events(options), InferenceConfig(enabled=True, signal_file=str(tmp_path / "signal.h5"))
    )

    assert found is not None and found[1] == (None,) * len(np.unique(found[0].labels))


def test_data_is_that_of_most_models_unless_a_file_is_named(restored_run: RestoredModel) -> None:
    def load(fingerprint: str) -> LoadedModel:
        scored = ScoredModel(fingerprint, "a", 0, "run", None)
        return LoadedModel(scored, replace(restored_run, dataset_fingerprint=fingerprint), None)

    sample = fingerprint_file(SAMPLE_PATH)
    models = [load(sample), load("b"), load("b")]

    assert choose_reference(models, InferenceConfig()) is models[1]
    assert choose_reference(models, InferenceConfig(data_path=str(SAMPLE_PATH))) is models[0]


def test_background_without_objects_is_refused(sweep: Path, infer: Callable[..., Path], tmp_path: Path) -> None:
    write_tokens_file(tmp_path / "events.h5", sample_splits())
    table = take_objects_away(read_dataset(tmp_path / "events.h5", "X_train"))
    replace_dataset(tmp_path / "events.h5", "X_train", table)

    with pytest.raises(ReportError, match=r"0 of them with objects, which is too few; give a file with more"):
        infer(f"inference.data_path={tmp_path / 'events.h5'}", "inference.check_fingerprint=false")


@pytest.mark.parametrize(
    ("dataset", "change", "message"),
    [
        ("X_test", take_objects_away, "X_test: no event has an object"),
        ("W_test", lambda old: np.where(np.arange(len(old)) % 2, -1, 1), r"X_test: .* negative for 5\d\..%"),
        ("W_test", lambda old: np.zeros(len(old)), "X_test: all weights of class 0 are 0"),
    ],
)
def test_signal_that_cannot_be_scored_is_refused(dataset: str, change, message: str, tmp_path: Path) -> None:
    path = tmp_path / "signal.h5"
    write_tokens_file(path, sample_splits())
    replace_dataset(path, dataset, change(read_dataset(path, "X_test")))
    options = DataConfig(path=str(SAMPLE_PATH))

    with pytest.raises((ReportError, DataError), match=f"signal.h5: {message}"):
        load_signal(options, load_events(options), InferenceConfig(enabled=True, signal_file=str(path)))


def test_weights_that_cancel_are_refused_and_a_few_negative_ones_are_not(
    sweep: Path, infer: Callable[..., Path], tmp_path: Path
) -> None:
    of_file = (f"inference.data_path={tmp_path / 'events.h5'}", "inference.check_fingerprint=false")
    write_tokens_file(tmp_path / "events.h5", sample_splits())
    replace_dataset(tmp_path / "events.h5", "W_test", np.where(np.arange(200) % 5 == 0, -1.0, 1.0))
    table = pd.read_csv(next(infer(*of_file).rglob("separation.csv")))
    assert table.to_numpy()[:, 1:].astype(float).max() <= 1

    replace_dataset(tmp_path / "events.h5", "W_test", np.where(np.arange(200) % 2 == 0, -1.0, 1.0))
    with pytest.raises(
        DataError, match=r"events.h5: X_test: the weights of class 0 are negative for .*, so that no AU"
    ):
        infer(*of_file)


def test_signal_file_that_is_the_data_file_is_named(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "events.h5", sample_splits())
    options = DataConfig(path=str(path))
    config = InferenceConfig(enabled=True, signal_file=str(path))

    with pytest.raises(ReportError, match=r"signal_file: .*events.h5 is the data file that is scored"):
        load_signal(options, load_events(options), config, fingerprint_file(path))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("~nobody-has-this-name/a.h5", "its data file is not there any more: '~nobody-has"),
        ("x" * 5000, "cannot be used (File name too long)"),
        ("/dev", "is no file"),
    ],
)
def test_path_in_a_checkpoint_may_be_anything(path: str, reason: str, restored_run: RestoredModel) -> None:
    data = DataConfig(path=path)
    model = LoadedModel(ScoredModel("a", "a", 0, "one", None), replace(restored_run, data=data), None)

    with pytest.raises(ReportError, match=re.escape(f"run one: {reason}")) as refused:
        choose_options([model], InferenceConfig())

    assert len(str(refused.value)) < 400


def test_other_acceptances_of_classes_and_unlikely_values_are_checked(
    sweep: Path, score: Callable[..., InferenceResult], tmp_path: Path
) -> None:
    splits = sample_splits(300)
    test = splits["test"]
    is_far = (np.abs(test.features["eta"]) > 1.5) & (test.labels[test.token_events] == 1)
    eta = np.where(is_far, test.features["eta"] / 2, test.features["eta"])
    eta[np.flatnonzero(test.labels[test.token_events] == 0)[0]] = 6.5
    cut = {**splits, "test": test.with_features(eta=eta)}
    write_tokens_file(tmp_path / "events.h5", cut)

    result = score(f"inference.data_path={tmp_path / 'events.h5'}", "inference.check_fingerprint=false")

    checks = [check for section in result.sections for check in section.checks]
    (acceptance,) = (check for check in checks if check.name == "acceptance")
    assert acceptance.state == "failed" and "of background lie where signal has none" in acceptance.text
    (far,) = (check for check in checks if check.text.startswith("|eta| > 6"))
    assert (far.name, far.state) == ("values", "note") and "of events (first in row " in far.text


def test_background_of_one_event_is_not_blamed_on_the_models(
    sweep: Path, infer: Callable[..., Path], tmp_path: Path
) -> None:
    splits = sample_splits()
    one = keep_events(splits["train"], np.arange(200) == 0)
    write_tokens_file(tmp_path / "events.h5", {**splits, "train": join_events([one] * 50)})

    with pytest.raises(ReportError, match=r"all 50 background events of the training split are the same"):
        infer(f"inference.data_path={tmp_path / 'events.h5'}", "inference.check_fingerprint=false")


def test_a_signal_file_with_impossible_values_is_refused(tmp_path: Path) -> None:
    splits = sample_splits()
    eta = splits["test"].features["eta"].copy()
    eta[0] = -999.0
    path = write_tokens_file(tmp_path / "signal.h5", {**splits, "test": splits["test"].with_features(eta=eta)})
    options = DataConfig(path=str(SAMPLE_PATH))

    with pytest.raises(DataError, match=r"signal.h5: X_test, row 0: eta is -999; expected -20 to 20"):
        load_signal(options, load_events(options), InferenceConfig(enabled=True, signal_file=str(path)))
