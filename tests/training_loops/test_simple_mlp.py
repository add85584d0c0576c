"""The loop `test_mlp` on the engine: it learns functions and labels, repeats, and agrees with `fit_classifier`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_files import random_splits, read_dataset, replace_dataset, write_tokens_file
from run_results import RESULT_KEYS
from thesis_ml.architectures.simple.classifier import ClassifierConfig, Table, TableModel, fit_classifier
from thesis_ml.data.splits import iterate_batches
from thesis_ml.errors import ConfigError, DataError, RunInterrupted, TrainingError
from thesis_ml.facts.readers import read_events, read_scalars, read_state
from thesis_ml.metrics.auroc import compute_auroc
from thesis_ml.training_loops import simple_mlp
from thesis_ml.training_loops.simple_mlp import TableSettings, TableTask, load_tables, train
from thesis_ml.training_loops.tally import EpochTally
from thesis_ml.training_loops.task import EpochSums, EventScores
from thesis_ml.utils.checkpoints import load_checkpoint

LOOP = "loop=test_mlp"
SMALL = ("general.table.n_train=3000", "general.table.n_val=600", "general.table.n_test=600")
TWO_EPOCHS = "general.trainer.epochs=2"
SYNTHETIC = (LOOP, "task=labels", "data=synthetic", "data.synthetic.n_train=3000", "data.synthetic.n_val=2000")
NOTHING_WRITTEN = "logging.save_artifacts=false"


@pytest.fixture
def train_with(compose_cfg, tmp_path: Path):
    """Train with overrides; the run folder is tmp_path / run."""
    (tmp_path / "run").mkdir()

    def run(*overrides: str) -> dict[str, Any]:
        return train(compose_cfg(*overrides))

    return run


@pytest.fixture
def parse(compose_cfg):
    """Parse a configuration of the loop."""

    def parse_with(*overrides: str) -> TableSettings:
        return simple_mlp.parse(compose_cfg(*overrides))

    return parse_with


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_two_epochs_lower_the_loss_and_leave_a_whole_run(train_with, tmp_path: Path, task: str) -> None:
    result = train_with(LOOP, f"task={task}", *SMALL, TWO_EPOCHS)

    facts, folder = read_events(tmp_path / "run/facts"), tmp_path / "run"
    losses = read_scalars(folder / "facts").query("split == 'train'").train_loss.tolist()
    assert losses[1] < losses[0]
    assert set(result) == RESULT_KEYS
    assert result["rec_mse"] is None
    assert read_state(folder / "facts").name == "complete"
    assert [fact["moment"] for fact in facts] == ["on_start", *["on_epoch_end"] * 2, "on_train_end", "on_test_end"]
    assert {"best_val.pt", "last.pt", "model.pt", "figures"} <= {path.name for path in folder.iterdir()}
    assert {path.name for path in (folder / "figures").iterdir()} == {"losses.png", "metrics.png", "latency.png"}


def test_facts_name_the_numbers_of_the_task_and_no_reconstruction(train_with, tmp_path: Path) -> None:
    result = train_with(LOOP, "task=binary", *SMALL, TWO_EPOCHS, "logging.make_plots=false")

    start, first, *_, last = read_events(tmp_path / "run/facts")
    assert set(first["metrics"]["val"]) == {"bce", "auroc", "auroc_error"}
    assert set(first["metrics"]["train"]) == {"bce", "lr", "data_wait_s"}
    assert last["result"] == result
    assert last["metrics"]["test"]["auroc"] > 0.6
    assert start["config"]["task"] == "binary"
    assert "phase1" not in start["config"]
    assert "rec_mse" not in "".join(read_scalars(tmp_path / "run/facts").columns)
    assert all(len(json.dumps(fact)) < 1500 for fact in (first, last))


@pytest.mark.slow
def test_regression_reaches_what_the_known_function_reaches(train_with) -> None:
    result = train_with(LOOP, NOTHING_WRITTEN, "general.trainer.epochs=20")

    assert 0.0095 < result["test_loss"] < 0.016
    assert result["best_monitor"] == result["best_val_loss"]


@pytest.mark.slow
def test_binary_reaches_what_the_known_function_reaches(train_with, parse) -> None:
    reachable = load_tables(parse(LOOP, "task=binary")).sheet["reachable"]

    result = train_with(LOOP, "task=binary", NOTHING_WRITTEN)

    assert result["test_loss"] == pytest.approx(reachable["test"]["bce"], abs=0.015)
    assert result["best_monitor"] == pytest.approx(reachable["val"]["auroc"], abs=0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("task", ["regression", "binary", "labels"])
def test_same_seed_gives_the_same_numbers(train_with, task: str) -> None:
    overrides = (LOOP, f"task={task}", *SMALL, "data.limit_events=500", TWO_EPOCHS, NOTHING_WRITTEN)

    first, again, other = (train_with(*overrides, f"general.trainer.seed={seed}") for seed in (3, 3, 4))

    assert first == again
    assert first != other


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("general.model.dropout=0.1",)])
def test_labels_agree_with_fit_classifier_to_the_bit(
    train_with, parse, tmp_path: Path, options: tuple[str, ...]
) -> None:
    overrides = (*SYNTHETIC, "general.trainer.epochs=3", "general.trainer.device=cpu", *options)
    config = parse(*overrides)
    data, trainer, model = load_tables(config), config.trainer, config.general.model
    table, val = (Table(split.features, split.labels, split.weights) for split in (data.train, data.val))
    classifier = ClassifierConfig(
        hidden=model.hidden,
        dropout=model.dropout,
        epochs=trainer.epochs,
        batch_size=trainer.batch_size,
        lr=trainer.lr,
        weight_decay=trainer.weight_decay,
        seed=trainer.seed,
    )

    fitted = fit_classifier(table, val, classifier)

    train_with(*overrides, "logging.make_plots=false")
    last = load_checkpoint(tmp_path / "run/last.pt")["model"]
    assert all(torch.equal(value, last[name]) for name, value in fitted.model.state_dict().items())
    recorded = read_scalars(tmp_path / "run/facts").query("split == 'val'").metric_auroc.tolist()
    assert recorded == list(fitted.auroc)


def test_defaults_of_the_classifier_are_those_of_the_loop(parse) -> None:
    config, defaults = parse(LOOP), ClassifierConfig()

    names = ("epochs", "batch_size", "lr", "weight_decay", "grad_clip", "warmup_epochs", "seed")
    assert [getattr(config.trainer, name) for name in names] == [getattr(defaults, name) for name in names]
    assert config.general.model.hidden == defaults.hidden
    assert config.trainer.schedule == "cosine"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_of_the_sample_are_told_apart(train_with, tmp_path: Path, seed: int) -> None:
    train_with(LOOP, "task=labels", f"general.trainer.seed={seed}", "logging.make_plots=false")

    assert read_events(tmp_path / "run/facts")[-1]["metrics"]["test"]["auroc"] >= 0.82


@pytest.mark.slow
def test_flattened_events_are_told_apart_too(train_with, tmp_path: Path) -> None:
    train_with(LOOP, "task=labels", "general.events.representation=flattened", "logging.make_plots=false")

    assert read_events(tmp_path / "run/facts")[-1]["metrics"]["test"]["auroc"] >= 0.80


def test_one_event_of_a_class_has_no_error(parse) -> None:
    config = parse(*SYNTHETIC)
    task = TableTask(TableModel(3, config.general.model), config)
    scores, labels = torch.tensor([0.1, 0.9, 0.4]), torch.tensor([0.0, 1.0, 0.0])

    numbers = task.finish_epoch(EpochSums({"bce": 0.5}, {}, EventScores(scores, labels, torch.ones(3))))

    assert numbers == {"loss": 0.5, "auroc": 1.0}


def test_auroc_is_that_of_the_whole_split(parse) -> None:
    config = parse(*SYNTHETIC, "general.trainer.batch_size=64")
    data = load_tables(config)
    model = TableModel(len(data.dims.columns), config.general.model)
    task = TableTask(model, config)
    tally = EpochTally(task, data.dims, keeps_scores=True)

    for batch in iterate_batches(data.val, 64, generator=None):
        tally.add(task.eval_step(batch), batch)

    scores = model(data.val.features).detach().numpy()
    assert tally.finish()["auroc"] == pytest.approx(compute_auroc(scores, data.val.labels.numpy()), abs=1e-6)


def test_a_training_keeps_no_scores(parse) -> None:
    config = parse(*SYNTHETIC)
    data = load_tables(config)
    task = TableTask(TableModel(len(data.dims.columns), config.general.model), config)
    tally = EpochTally(task, data.dims)

    for batch in iterate_batches(data.val, 500, generator=None):
        tally.add(task.eval_step(batch), batch)

    assert "auroc" not in tally.finish()


def test_accumulated_batches_are_one_large_batch(train_with) -> None:
    options = (LOOP, *SMALL, TWO_EPOCHS, NOTHING_WRITTEN, "general.trainer.device=cpu")

    whole = train_with(*options, "general.trainer.batch_size=300")
    parts = train_with(*options, "general.trainer.batch_size=100", "general.trainer.accumulate=3")

    assert parts["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-3)


def test_a_finished_run_is_returned_and_another_task_refused(train_with, compose_cfg) -> None:
    overrides = (LOOP, *SMALL, TWO_EPOCHS, "logging.make_plots=false")
    first = train_with(*overrides)

    assert train(compose_cfg(*overrides)) == first
    with pytest.raises(ConfigError, match="holds another run: task is 'regression' there and 'binary' here"):
        train(compose_cfg(*overrides, "task=binary"))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_run_that_was_stopped_ends_with_the_same_numbers(train_with, compose_cfg, tmp_path: Path, task: str) -> None:
    overrides = (LOOP, f"task={task}", *SMALL, TWO_EPOCHS, "logging.make_plots=false")
    stopped = compose_cfg(*overrides, f"run_dir={tmp_path / 'stopped'}", "general.trainer.max_time_s=1e-6")
    (tmp_path / "stopped").mkdir()
    whole = train_with(*overrides)

    with pytest.raises(RunInterrupted):
        train(stopped)
    resumed = train(compose_cfg(*overrides, f"run_dir={tmp_path / 'stopped'}"))

    assert {**resumed, "run_dir": None} == {**whole, "run_dir": None}
    assert "on_resume" in [fact["moment"] for fact in read_events(tmp_path / "stopped/facts")]


def test_config_holds_what_the_task_reads(parse) -> None:
    labels, regression = parse(LOOP, "task=labels").to_plain(), parse(LOOP).to_plain()

    assert set(labels) == {"loop", "task", "data", "general", "logging"}
    assert set(regression) == {"loop", "task", "general", "logging"}
    assert set(labels["general"]) == {"trainer", "model", "events"}
    assert set(regression["general"]) == {"trainer", "model", "table"}
    assert (labels["general"]["trainer"]["monitor"], regression["general"]["trainer"]["monitor"]) == ("auroc", "mse")


def test_fingerprint_is_that_of_the_rows(parse) -> None:
    for overrides in ((LOOP,), (LOOP, "task=binary"), SYNTHETIC):
        config = parse(*overrides)

        assert config.read_fingerprint() == load_tables(config).fingerprint


def test_monitor_of_the_user_wins(parse) -> None:
    assert parse(LOOP, "task=binary", "general.trainer.monitor=loss").trainer.monitor == "loss"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("task=label", "task: unknown value 'label'; available: regression, binary, labels; did you mean 'labels'"),
        ("task=null", "task: unknown value None; available: regression, binary, labels"),
        ("+general.trainer.epoch=3", "general.trainer.epoch: unknown key; .*did you mean 'epochs'"),
        ("+general.trane=3", "general.trane: unknown key"),
        ("general.trainer.lr=0", "general.trainer.lr: must be above 0"),
        ("general.trainer.num_workers=2", "general.trainer.num_workers: must be 0"),
        ("general.model.hidden=[0]", r"general.model.hidden\[0\]: must be between 1 and 16384"),
        ("general.table.n_columns=2", "general.table.n_columns: must be between 3 and 1000"),
        ("general.events.representation=flat", "general.events.representation: unknown value 'flat'"),
        ("data.n_tokens=0", "data.n_tokens: must be at least 1"),
    ],
)
def test_wrong_input_is_refused_with_its_key(parse, override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=f"^{expected}"):
        parse(LOOP, override)


def test_monitor_that_is_not_measured_is_refused(train_with) -> None:
    with pytest.raises(ConfigError, match=r"general\.trainer\.monitor: unknown 'rec_mse'; available: loss, mse"):
        train_with(LOOP, *SMALL, "general.trainer.monitor=rec_mse")


def test_classes_that_the_data_lack_are_refused(train_with) -> None:
    with pytest.raises(DataError, match="task=labels: the train split has no event of the signal"):
        train_with(LOOP, "task=labels", "data.limit_events=100", "general.events.signal_classes=[5]")


def test_weights_that_cancel_are_refused_before_the_training(train_with, tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "a.h5", random_splits(300))
    signal = read_dataset(path, "Y_val") == 1
    replace_dataset(path, "W_val", np.where(signal & (np.arange(100) % 2 == 0), -1.0, 1.0))

    with pytest.raises(DataError, match=r"a\.h5: X_val: the weights of class 1 are negative for"):
        train_with(LOOP, "task=labels", "data=h5_tokens", f"data.path={path}", "general.events.signal_classes=[1]")
    assert not list((tmp_path / "run").iterdir())


def test_loss_that_is_not_finite_names_the_term(train_with) -> None:
    with pytest.raises(TrainingError, match=r"mse is|loss is"):
        train_with(LOOP, *SMALL, NOTHING_WRITTEN, "general.trainer.lr=1e30")
