import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from composed_configs import compose_config
from data_files import random_events, random_splits, sample_splits, write_tokens_file
from run_results import RESULT_KEYS, without_folder
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.batch import DataDims
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import join_events
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import ConfigError, TrainingError
from thesis_ml.facts.readers import load_history, read_arrays, read_events, read_scalars, read_state
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.families import FAMILIES
from thesis_ml.monitoring.orchestrator import build_monitoring
from thesis_ml.training_loops.autoencoder import AutoencoderTask, count_confusion, parse, train
from thesis_ml.utils.checkpoints import load_checkpoint
from thesis_ml.utils.paths import find_configs

SMALL = (
    "data.limit_events=400",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "logging.make_plots=false",
)
VQ = ("phase1/latent_space=vq", "phase1.latent_space.latent_dim=4", "phase1.latent_space.codebook_size=16")
NOTHING_WRITTEN = "logging.save_artifacts=false"


@pytest.fixture
def train_with(compose_cfg, tmp_path: Path):
    """Train a small model with overrides; its run folder is tmp_path / run."""
    (tmp_path / "run").mkdir()

    def run(*overrides: str) -> dict:
        return train(compose_cfg(*SMALL, *overrides))

    return run


def test_train_returns_the_same_keys_as_every_loop(train_with) -> None:
    result = train_with("phase1.trainer.epochs=1", NOTHING_WRITTEN)

    assert set(result) == RESULT_KEYS


@pytest.mark.slow
@pytest.mark.parametrize("latent_space", sorted(set(BOTTLENECKS) - {"scalar"}))
def test_train_lowers_the_loss(train_with, tmp_path: Path, latent_space: str) -> None:
    train_with(f"phase1/latent_space={latent_space}", "phase1.trainer.epochs=3", "phase1.trainer.batch_size=32")

    losses = read_scalars(tmp_path / "run/facts").query("split == 'train'").train_loss.tolist()
    assert losses[2] < losses[1] < losses[0]


@pytest.mark.quick
def test_train_leaves_the_folder_of_a_run(finished_run) -> None:
    names = {path.relative_to(finished_run.path).as_posix() for path in finished_run.path.rglob("*")}

    assert {"facts/events.jsonl", "facts/scalars.csv", "facts/arrays.npz"} <= names
    assert {"best_val.pt", "last.pt", "model.pt"} <= names
    assert {"figures/losses.png", "figures/metrics.png", "figures/codebook.png"} <= names


@pytest.mark.quick
def test_facts_of_a_run_are_complete_and_end_with_its_result(finished_run) -> None:
    moments = [fact["moment"] for fact in read_events(finished_run.path / "facts")]

    # One epoch of few events is no better than the mean of all tokens, which is warned of.
    assert moments == ["on_start", "on_epoch_end", "on_train_end", "on_warning", "on_test_end"]
    assert read_state(finished_run.path / "facts").name == "complete"
    assert read_events(finished_run.path / "facts")[-1]["result"] == finished_run.result


def test_epoch_lines_stay_short(finished_run) -> None:
    lines = (finished_run.path / "facts/events.jsonl").read_text(encoding="utf-8").splitlines()
    rows = (finished_run.path / "facts/scalars.csv").read_text(encoding="utf-8").splitlines()

    epoch_line = next(line for line in lines if json.loads(line)["moment"] == "on_epoch_end")
    # 1.5 kB per epoch, all told: its line, its two rows, and its share of the histories at train end.
    facts = [json.loads(line) for line in lines]
    histories = json.dumps(next(fact["histories"] for fact in facts if fact["moment"] == "on_train_end"))
    assert len(epoch_line) + len(rows[1]) + len(rows[2]) < 1500 + len(histories)
    assert len(epoch_line) < 1500


@pytest.mark.usefixtures("unchecked_shapes")
def test_train_without_artifacts_leaves_an_empty_folder_empty_and_gives_the_same_numbers(
    train_with, tmp_path: Path, monkeypatch
) -> None:
    written = train_with(*VQ, "phase1.trainer.epochs=2")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    unwritten = train_with(*VQ, "phase1.trainer.epochs=2", NOTHING_WRITTEN, "run_dir=.")

    assert without_folder(unwritten) == without_folder(written)
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.usefixtures("unchecked_shapes")
def test_train_repeats_bit_for_bit_and_another_seed_differs(train_with) -> None:
    first, again = (train_with(*VQ, "phase1.trainer.epochs=2", NOTHING_WRITTEN) for _ in range(2))
    other = train_with(*VQ, "phase1.trainer.epochs=2", "phase1.trainer.seed=43", NOTHING_WRITTEN)

    assert first == again
    assert other["test_loss"] != first["test_loss"]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["gnn", "transformer"])
def test_context_models_repeat_bit_for_bit_with_two_threads(compose_cfg, name: str) -> None:
    components = (f"phase1/encoder={name}", f"phase1/decoder={name}", *VQ)
    length = ("data.limit_events=400", "phase1.trainer.epochs=1", "phase1.trainer.n_threads=2")
    before = torch.get_num_threads()
    try:
        first, again = (train(compose_cfg(*components, *length, NOTHING_WRITTEN)) for _ in range(2))
    finally:
        torch.set_num_threads(before)

    assert first == again


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.slow
def test_figures_and_trackers_change_no_number(train_with, tmp_path: Path) -> None:
    watched = (
        "logging=plots_full",
        "logging.make_plots=true",
        "logging.tracker=tensorboard",
        f"run_dir={tmp_path / 'watched'}",
    )
    plain = ("logging.make_plots=false", f"run_dir={tmp_path / 'plain'}")

    results = [train_with(*VQ, "phase1.trainer.epochs=2", *options) for options in (watched, plain)]

    tables = [drop_times(read_scalars(tmp_path / name / "facts")) for name in ("watched", "plain")]
    assert (tmp_path / "watched/figures/recon_on_train_end_epoch001.png").exists()
    assert len(list((tmp_path / "watched/tensorboard").glob("*/events.out.tfevents.*"))) == 1
    assert not (tmp_path / "plain/figures").exists()
    assert without_folder(results[0]) == without_folder(results[1])
    assert tables[0].equals(tables[1])


def drop_times(scalars: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that the same seed repeats to the last bit."""
    return scalars.filter(regex="epoch$|split|loss|metric").drop(columns="metric_data_wait_s")


@pytest.mark.slow
def test_every_figure_of_a_run_is_redrawn_from_its_facts(finished_run) -> None:
    history = load_history(finished_run.path / "facts")

    for drawer in build_monitoring(LoggingConfig(), tuple(FAMILIES), finished_run.path / "again"):
        drawer.notify("on_test_end", history)

    drawn, again = ({path.name: path for path in (finished_run.path / name).iterdir()} for name in ("figures", "again"))
    assert set(drawn) == set(again) == {f"{family}.png" for family in AutoencoderTask.plot_families}
    assert all(drawn[name].read_bytes() == again[name].read_bytes() for name in drawn)


def test_histograms_of_a_run_are_of_its_best_weights(finished_run) -> None:
    arrays = read_arrays(finished_run.path / "facts")
    splits = read_events(finished_run.path / "facts")[0]["data"]["splits"]

    assert arrays["val_hist_pt_true"].sum() == arrays["val_hist_pt_rec"].sum() == splits["val"]["n_tokens"]
    assert arrays["test_codes"].sum() == splits["test"]["n_tokens"]
    assert arrays["val_codes"].sum() == splits["val"]["n_tokens"]
    assert (finished_run.path / "facts/arrays.npz").stat().st_size < 50_000


def test_confusion_of_types_counts_every_token_and_agrees_with_the_accuracy(finished_run) -> None:
    arrays, facts = read_arrays(finished_run.path / "facts"), read_events(finished_run.path / "facts")
    splits, test = facts[0]["data"]["splits"], facts[-1]["metrics"]["test"]

    confusion = arrays["test_type_confusion"]
    shares = [splits["test"]["type_shares"][name] for name in arrays["type_names"]]
    assert confusion.sum(axis=1) / confusion.sum() == pytest.approx(shares)
    assert confusion.trace() / confusion.sum() == pytest.approx(test["type_accuracy"], abs=1e-6)
    assert arrays["val_type_confusion"].sum() == splits["val"]["n_tokens"]


def test_confusion_has_a_row_per_true_and_a_column_per_predicted_type() -> None:
    true, chosen = torch.tensor([0, 0, 1, 2, 0]), torch.tensor([0, 2, 1, 1, 2])

    assert count_confusion(true, chosen, 3).tolist() == [[1, 0, 2], [0, 1, 0], [0, 1, 0]]


def test_wait_for_data_is_recorded_as_a_part_of_the_epoch(finished_run) -> None:
    row = read_scalars(finished_run.path / "facts").query("split == 'train'").iloc[0]

    assert 0 < row.metric_data_wait_s < row.epoch_time_s


def test_train_stops_before_a_step_on_a_loss_that_is_not_finite(train_with, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1, step \d+: .*rec_tokens is (inf|nan)"):
        train_with("phase1.trainer.lr=1e12", "phase1.trainer.epochs=2", "phase1.trainer.batch_size=16")

    state = read_state(tmp_path / "run/facts")
    assert state.name == "failed"
    assert "rec_tokens" in state.reason
    assert not (tmp_path / "run/best_val.pt").exists()


@pytest.fixture
def splits_with_empty_events() -> dict:
    splits = random_splits(90, seed=3)
    return {name: join_events([events, random_events(2, seed=9, max_tokens=0)]) for name, events in splits.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("latent_space", sorted(set(BOTTLENECKS) - {"scalar"}))
def test_padding_of_the_file_changes_no_loss(
    train_with, tmp_path: Path, splits_with_empty_events, latent_space
) -> None:
    results = []
    for n_slots in (18, 30):
        path = write_tokens_file(tmp_path / f"{n_slots}.h5", splits_with_empty_events, n_slots=n_slots)
        group = f"phase1/latent_space={latent_space}"
        results.append(train_with(f"data.path={path}", group, "phase1.trainer.epochs=2", NOTHING_WRITTEN))

    assert results[0]["test_loss"] == pytest.approx(results[1]["test_loss"], rel=1e-6)
    assert results[0]["final_train_loss"] == pytest.approx(results[1]["final_train_loss"], rel=1e-6)


@pytest.mark.usefixtures("unchecked_shapes")
def test_units_of_the_file_change_no_loss(train_with, tmp_path: Path) -> None:
    splits = sample_splits(300)
    losses = []
    for encoding in ("mev", "gev", "ln_mev"):
        path = write_tokens_file(tmp_path / f"{encoding}.h5", splits, encoding=encoding)
        choice = (f"data.path={path}", f"data.encoding={encoding}", "phase1/latent_space=linear")
        losses.append(train_with(*choice, "phase1.trainer.epochs=2", NOTHING_WRITTEN)["test_loss"])

    # The mass is a small difference of E and p, which each unit rounds differently.
    assert losses[1:] == pytest.approx(losses[:1] * 2, rel=1e-3)


@pytest.mark.usefixtures("unchecked_shapes")
def test_gradients_accumulated_over_two_batches_train_like_one_of_twice_the_size(train_with) -> None:
    whole = train_with("phase1/latent_space=linear", "phase1.trainer.epochs=2", NOTHING_WRITTEN)
    halves = ("phase1.trainer.batch_size=64", "phase1.trainer.accumulate=2")
    split = train_with("phase1/latent_space=linear", "phase1.trainer.epochs=2", *halves, NOTHING_WRITTEN)

    assert split["test_loss"] == pytest.approx(whole["test_loss"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("phase1.trainer.precision=bf16",),
        ("phase1.trainer.average_decay=0.9",),
        ("phase1.trainer.schedule=constant", "phase1.trainer.warmup_epochs=0"),
        ("phase1/loss=huber", "phase1.loss.delta=0.5", "phase1.loss.weights={pt: 2.0}"),
        ("data.phi=wrapped", "data.features=[pt,eta,phi,mass]"),
        ("phase1.decoder.types_beta=0", "phase1.decoder.globals_beta=0"),
        ("data.train_classes=[0]", "data.order=pt", "data.n_tokens=4"),
    ],
)
def test_options_train_to_finite_numbers(train_with, options: tuple[str, ...]) -> None:
    result = train_with(*VQ, *options, "phase1.trainer.epochs=1", NOTHING_WRITTEN)

    assert all(value == value and abs(value) < 1e3 for value in without_folder(result).values())


def test_a_head_that_is_not_trained_is_blank(train_with, tmp_path: Path) -> None:
    train_with("phase1.decoder.globals_beta=0", "phase1.decoder.types_beta=0", "phase1.trainer.epochs=1")

    scalars = read_scalars(tmp_path / "run/facts")
    assert scalars[["metric_rec_globals", "metric_rec_types", "metric_type_accuracy"]].isna().all(axis=None)


def test_early_stopping_ends_a_run_that_no_longer_improves(train_with, tmp_path: Path) -> None:
    patience = ("phase1.trainer.early_stopping=1", "phase1.trainer.lr=1e-30")
    train_with("phase1/latent_space=linear", "phase1.trainer.epochs=9", *patience)

    assert read_scalars(tmp_path / "run/facts").epoch.max() < 8


def test_unknown_monitor_names_those_that_exist(train_with) -> None:
    with pytest.raises(ConfigError, match=r"phase1\.trainer\.monitor: unknown 'rec_mes'; available: .*rec_mse"):
        train_with("phase1.trainer.monitor=rec_mes", NOTHING_WRITTEN)


@pytest.mark.parametrize(
    ("latent_space", "monitors", "others"),
    [
        ("none", (), ("commit", "codebook", "kl", "perplexity", "usage", "bits_per_token")),
        ("kl", ("kl",), ("commit", "perplexity", "kl_bits")),
        ("fsq", ("perplexity", "usage"), ("commit", "kl")),
        ("vq", ("commit", "perplexity"), ("codebook", "kl", "entropy_bits")),
        ("rvq", ("commit", "n_dead_codes"), ("codebook", "kl")),
    ],
)
def test_only_what_a_bottleneck_gives_may_be_monitored(
    latent_space: str, monitors: tuple[str, ...], others: tuple[str, ...], compose_cfg
) -> None:
    group = f"phase1/latent_space={latent_space}"
    for name in ("rec_mse", "loss", *monitors):
        assert parse(compose_cfg(group, f"phase1.trainer.monitor={name}")).trainer.monitor == name

    for name in others:
        with pytest.raises(ConfigError, match=rf"phase1\.trainer\.monitor: unknown '{name}'"):
            parse(compose_cfg(group, f"phase1.trainer.monitor={name}"))


def test_values_that_are_hardly_right_are_recorded_and_printed_once(
    train_with, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    splits = random_splits(60, min_tokens=1)
    eta = splits["train"].features["eta"].copy()
    eta[0] = 9.0
    path = write_tokens_file(tmp_path / "a.h5", {**splits, "train": splits["train"].with_features(eta=eta)})

    train_with("data=h5_tokens", f"data.path={path}", "data.limit_events=null", "phase1.trainer.epochs=1")

    recorded = [fact["text"] for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_warning"]
    for texts in (recorded, caplog.messages):
        (text,) = (text for text in texts if "|eta| > 6" in text)
        assert "of the objects of train (first in row 0): no calorimeter of a collider reaches so far" in text


def test_a_bottleneck_that_copies_is_warned_of(train_with, tmp_path: Path) -> None:
    train_with("phase1/latent_space=none", "phase1.trainer.epochs=1")

    warnings = [fact["text"] for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_warning"]
    assert sum("can copy" in text for text in warnings) == 1


def test_a_checkpoint_alone_rebuilds_the_model(finished_run) -> None:
    checkpoint = load_checkpoint(finished_run.path / "model.pt")
    dims = DataDims.from_state(checkpoint["dims"], Normalizer.from_state(checkpoint["normalizer"]))
    model = build_model(parse_model(checkpoint["config"]["phase1"], "phase1"), dims)
    model.load_state_dict(checkpoint["model"])
    model.eval()
    data = load_tokens(DataConfig(limit_events=300, synthetic=SyntheticConfig()))

    (batch,) = iterate_batches(data.test, 300, generator=None)
    with torch.no_grad():
        rec_mse = (model(batch).features - batch.features).square().mean().item()

    assert rec_mse == pytest.approx(finished_run.result["rec_mse"], rel=1e-5)
    assert Normalizer.from_state(checkpoint["normalizer"]) == data.normalizer
    assert checkpoint["dataset_fingerprint"] == data.fingerprint


def test_composed_configuration_alone_is_trained_in_the_folder_that_it_names(tmp_path: Path) -> None:
    cfg = compose_config(find_configs(), "train", [*SMALL, "phase1.trainer.epochs=1", f"run_dir={tmp_path}/new/run"])

    result = train(cfg)

    assert result["run_dir"] == f"{tmp_path}/new/run"
    assert (tmp_path / "new/run/best_val.pt").is_file()


def test_composed_configuration_without_a_folder_is_refused_unless_nothing_is_written() -> None:
    short = [*SMALL, "phase1.trainer.epochs=1"]

    with pytest.raises(ConfigError, match=r"^run_dir: no command chose the folder; give one"):
        train(compose_config(find_configs(), "train", short))

    assert train(compose_config(find_configs(), "train", [*short, NOTHING_WRITTEN]))["run_dir"] is None
