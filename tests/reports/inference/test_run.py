"""Inference on a sweep that really trained: what a report says and leaves, and what it refuses."""

import io
import json
import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from omegaconf import DictConfig
from thesis_ml.reports.assemble import build_comparison

from data_files import read_dataset, replace_dataset, sample_splits, write_tokens_file
from stored_events import FEATURES, stack_features
from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import Events, take_first
from thesis_ml.data.tokens import SAMPLE_PATH, fingerprint_file, load_events
from thesis_ml.errors import ConfigError, DataError, ReportError
from thesis_ml.facts.readers import read_run
from thesis_ml.reports.analyses import compare_tokenizers
from thesis_ml.reports.config import InferenceConfig, parse_report
from thesis_ml.reports.contents import SCORED, InferenceResult
from thesis_ml.reports.inference import run as inference_run
from thesis_ml.reports.inference.changes.corruptions import CORRUPTIONS
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan
from thesis_ml.reports.inference.models import (
    LoadedData,
    LoadedModel,
    ModelSet,
    choose_classes,
    choose_options,
    choose_reference,
    divide_background,
    find_checkpoint,
    load_signal,
)
from thesis_ml.reports.inference.run import choose_variants, drop_failed, fit_scorers, stream_all
from thesis_ml.reports.inference.scoring import stream
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, ScoredModel
from thesis_ml.reports.inference.scoring.stream import (
    BaselineScorer,
    ModelOutput,
    ModelScorer,
    PassOptions,
    StreamPlan,
    Variant,
)
from thesis_ml.reports.inference.scoring.tally import ClosureTally
from thesis_ml.reports.inference.sections.overview import describe_inference
from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint

Compose = Callable[..., DictConfig]
ON = ("inference.enabled=true", "inference.batch_size=64", "outputs.which_figures=[rec_mse_curves]")
ONE = ("inference.corruption_strategies={energy_scale: 1.0}",)


@pytest.fixture
def infer(sweep: Path, outputs: Path, compose_report: Compose) -> Callable[..., Path]:
    """Make a report with inference and return its folder."""

    def make(*overrides: str, corruptions: tuple[str, ...] = ONE) -> Path:
        compare_tokenizers.run_report(
            compose_report("compare_tokenizers", f"inputs.sweep_dir={sweep}", *ON, *corruptions, *overrides)
        )
        return max((outputs / "reports").iterdir())

    return make


@pytest.fixture
def score(sweep: Path, compose_report: Compose) -> Callable[..., InferenceResult]:
    """Run the models of a sweep as a report does, and write nothing."""

    def run(*overrides: str, corruptions: tuple[str, ...] = ONE) -> InferenceResult:
        keys = (f"inputs.sweep_dir={sweep}", *ON, *corruptions, *overrides)
        config = parse_report(compose_report("compare_tokenizers", *keys))
        return inference_run.run_inference(build_comparison(config), config.inference)

    return run


def list_reasons(result: InferenceResult) -> dict[str, str | None]:
    """Return why each model could not be scored, by the name of its folder."""
    return {name.rpartition("/")[2]: model.get("not_possible") for name, model in result.models.items()}


def list_flags(result: InferenceResult) -> list[str]:
    """Return what the section about the scored events warns of."""
    (section,) = [section for section in result.sections if section.name == SCORED]
    return list(section.flags)


def read_inference(report: Path) -> dict:
    return json.loads((report / "inference" / "summary.json").read_text(encoding="utf-8"))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_report_with_inference_leaves_what_it_promises(infer: Callable[..., Path], monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    report = infer("inference.persist_raw_scores=true", "inference.export=codes")

    shown = re.findall(r"\[\d\d:\d\d<[^,]*, .*?(?:s/([a-z]+)|([a-z]+)/s)\]", sys.stderr.getvalue())
    assert {unit for found in shown for unit in found} >= {
        "run",
        "model",
        "fit",
        "event",
        "problem",
        "figure",
        "section",
        "image",
    }
    summary = read_inference(report)
    assert summary["data"]["n_events"] == 300
    manifest = yaml.safe_load((report / "manifest.yaml").read_text(encoding="utf-8"))
    first = manifest["runs"][0]
    assert first["model"]["checkpoint_hash"] == first["checkpoint_hash"]
    assert manifest["inference"]["fingerprint"] == first["fingerprint"]
    with h5py.File(report / "inference" / "scores.h5") as file:
        assert len(file["index"]) == 300
        groups = {(group.attrs["scorer"], group.attrs["variant"]): group for group in file["scores"].values()}
        assert len(groups) == 7 * (2 + len(NULLS))
        assert np.isfinite(groups["vq, seed 1", "energy_scale 1"]["error_mean"][:]).all()
    assert not list(report.parent.glob(".*partial"))
    figures = {path.stem for path in (report / "inference" / "figures").glob("*.png")}
    assert {"closure_quantities", "closure_resolution", "closure_met", "closure_types", "code_map"} <= figures
    assert (report / "tables" / "inference_closure_events.tex").is_file()
    page = (report / "index.html").read_text(encoding="utf-8")
    assert len(page) < 8_000_000
    assert page.index('id="inference-closure"') < page.index('id="inference-codebooks"') < page.index('id="about"')


def change_checkpoint(run: Path, change: Callable[[dict], object]) -> None:
    """Change what the checkpoint of a run says."""
    content = load_checkpoint(run / "best_val.pt")
    change(content)
    save_checkpoint(content, run / "best_val.pt")


@pytest.mark.slow
def test_runs_that_cannot_be_restored_are_named_and_others_go_on(sweep: Path, infer: Callable[..., Path]) -> None:
    change_checkpoint(sweep / "000", lambda content: content.update(checkpoint_version=1))
    (sweep / "001" / "best_val.pt").unlink()
    (sweep / "001" / "model.pt").unlink()
    (sweep / "003" / "best_val.pt").write_bytes(b"PK" + bytes(1000))
    change_checkpoint(sweep / "004", lambda content: content["config"]["data"].update(n_tokens=2))

    report = infer("inference.max_samples=50")

    summary = read_inference(report)
    reasons = {name.rpartition("/")[2]: model.get("not_possible") for name, model in summary["models"].items()}
    assert "has checkpoint_version 1; this version of thesis-ml reads 2" in reasons["000"]
    assert "holds neither best_val.pt nor model.pt" in reasons["001"]
    assert "not a readable checkpoint" in reasons["003"]
    assert "was given other tokens (data.n_tokens is 2; the events have None)" in reasons["004"]
    assert [name for name, reason in reasons.items() if reason is None] == ["002", "005"]
    assert summary["data"]["n_events"] == 50
    assert len(summary["inference"]["flags"]) == 4
    assert "was not scored" in (report / "index.html").read_text(encoding="utf-8")


def test_report_goes_on_when_no_run_can_be_restored(sweep: Path, infer: Callable[..., Path]) -> None:
    for path in sweep.glob("*/best_val.pt"):
        path.write_bytes(b"nothing")

    summary = read_inference(infer())

    assert all("not a readable checkpoint" in model["not_possible"] for model in summary["models"].values())
    assert len(summary["inference"]["flags"]) == 6


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


@pytest.mark.slow
def test_other_file_is_scored_when_the_fingerprint_may_differ(score: Callable[..., InferenceResult]) -> None:
    other = (f"inference.data_path={SAMPLE_PATH}", "inference.check_fingerprint=false", "inference.max_samples=1")

    result = score(*other, f"inference.signal_file={SAMPLE_PATH}", corruptions=("inference.corruption_strategies=[]",))

    data = result.data
    assert (data["n_events"], data["n_signal_file"]) == (1, 1)
    assert data["path"] == str(SAMPLE_PATH)


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


@pytest.mark.slow
def test_chosen_scores_alone_are_kept(infer: Callable[..., Path]) -> None:
    report = infer("inference.metrics=[error_max]", "inference.persist_raw_scores=true", "inference.autocast=true")

    with h5py.File(report / "inference" / "scores.h5") as file:
        kept = {group.attrs["scorer"]: set(group) for group in file["scores"].values()}
    assert kept["vq, seed 0"] == {"error_max"}
    assert {"ht", "multiplicity"} <= kept["trivial"]


@pytest.mark.slow
def test_training_split_is_judged_by_densities_of_other_events(
    infer: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    summary = read_inference(infer("inference.dataset_split=train"))

    assert summary["data"]["fitted_split"] == "val"
    assert "held_out" not in {check["null"] for check in summary["scores"]["nulls"]}
    assert any("The training split is scored" in flag for flag in summary["scores"]["flags"])
    assert "background events of the validation split." in summary["inference"]["details"][0]
    kinds = [line[:2] for line in capsys.readouterr().out.splitlines() if line[:2] in ("! ", "- ")]
    assert kinds == sorted(kinds) and set(kinds) == {"! ", "- "}


def test_scores_of_codes_alone_are_not_asked_of_models_without(score: Callable[..., InferenceResult]) -> None:
    result = score("inference.metrics=[code_mean]", "inference.max_samples=60")

    assert list_flags(result) == [
        "No score is kept of linear: inference.metrics asks for those of codes alone, and it has no codes."
    ]
    with pytest.raises(ConfigError, match=r"^inference\.metrics: no model has code_mean, as none has a codebook; ask"):
        score("inference.metrics=[code_mean]", "inputs.select=[latent_space:linear]")


def test_signal_file_without_names_says_so(tmp_path: Path) -> None:
    write_tokens_file(tmp_path / "signal.h5", sample_splits())
    with h5py.File(tmp_path / "signal.h5", "r+") as file:
        del file.attrs["label_meaning"]
    options = DataConfig(path=str(SAMPLE_PATH))

    found = load_signal(
        options, load_events(options), InferenceConfig(enabled=True, signal_file=str(tmp_path / "signal.h5"))
    )

    assert found is not None and found[1] == (None,) * len(np.unique(found[0].labels))


def test_background_is_what_models_were_trained_on() -> None:
    stored = load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig()))
    labels = sorted(set(stored.splits["train"].labels.tolist()))

    def choose(*trained: tuple[int, ...] | None, asked: tuple[int, ...] | None = None) -> tuple[int, ...]:
        models = [
            LoadedModel(ScoredModel(str(number), "a", 0, "run", classes), restored=None, checkpoint_hash=None)
            for number, classes in enumerate(trained)
        ]
        return choose_classes(models, stored, InferenceConfig(background_classes=asked))

    commonest = int(np.bincount(stored.splits["train"].labels).argmax())
    assert choose(None) == (commonest,)
    assert choose(None, (labels[-1],)) == (labels[-1],)
    assert choose((labels[0],), (labels[-1],)) == (commonest,)
    assert choose(None, asked=tuple(labels)) == tuple(labels)


def test_default_corruptions_are_those_that_the_data_can_have() -> None:
    stored = load_events(DataConfig(limit_events=30, synthetic=SyntheticConfig()))
    events = stored.splits["test"]
    renamed = replace(stored, type_names=("jet", "other", *stored.type_names[2:]))
    data = LoadedData(renamed, "", "test", events, events, events, (0,), None)

    variants, skipped = choose_variants(data, InferenceConfig())
    names = {variant.plan.name for variant in variants}
    described = describe_inference(ModelSet((), {}), data, {}, skipped)

    assert set(CORRUPTIONS) - names == {"btag_flip"}
    assert any("btag_flip: it needs the object type 'b-jet'" in sentence for sentence in described.sentences)
    with pytest.raises(ConfigError, match="needs the object type 'b-jet'"):
        choose_variants(data, InferenceConfig(corruption_strategies={"btag_flip": (0.1,)}))


def test_data_is_that_of_most_models_unless_a_file_is_named(restored_run) -> None:
    def load(fingerprint: str) -> LoadedModel:
        scored = ScoredModel(fingerprint, "a", 0, "run", None)
        return LoadedModel(scored, replace(restored_run, dataset_fingerprint=fingerprint), None)

    sample = fingerprint_file(SAMPLE_PATH)
    models = [load(sample), load("b"), load("b")]

    assert choose_reference(models, InferenceConfig()) is models[1]
    assert choose_reference(models, InferenceConfig(data_path=str(SAMPLE_PATH))) is models[0]


@pytest.fixture
def restored_run(finished_run) -> RestoredModel:
    return restore_model(finished_run.path / "model.pt")


def test_densities_and_unfitted_events_share_none() -> None:
    events = load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig())).splits["train"]

    fitted, others = divide_background(events, seed=1)

    assert (fitted.n_events, others.n_events) == (225, 75)
    assert not set(fitted.index) & set(others.index)


def test_old_run_has_no_model(finished_run) -> None:
    run = read_run(finished_run.path, "old")

    assert find_checkpoint(run) == finished_run.path / "best_val.pt"
    with pytest.raises(DataError, match="not possible: no normaliser"):
        find_checkpoint(replace(run, schema_version=1))


def test_link_out_of_the_folder_is_no_checkpoint(finished_run, tmp_path: Path) -> None:
    (finished_run.path / "best_val.pt").replace(tmp_path / "other.pt")
    (finished_run.path / "best_val.pt").symlink_to(tmp_path / "other.pt")
    (finished_run.path / "model.pt").unlink()

    with pytest.raises(
        DataError, match=r"linked: best_val.pt is a link out of the folder, which is not followed; copy"
    ):
        find_checkpoint(read_run(finished_run.path, "linked"))


def set_weights(run: Path, value: float, part: str) -> None:
    """Overwrite the weights of a part of a model in the checkpoint of its run."""

    def change(content: dict) -> None:
        for name, tensor in content["model"].items():
            if name.startswith(part) and tensor.is_floating_point():
                tensor.fill_(value)

    change_checkpoint(run, change)


def test_model_that_gives_no_numbers_is_named_and_others_go_on(
    sweep: Path, score: Callable[..., InferenceResult]
) -> None:
    set_weights(sweep / "000", 1e38, "encoder")
    set_weights(sweep / "001", 1e38, "decoder")
    set_weights(sweep / "002", math.nan, "decoder")
    set_weights(sweep / "003", 1e3, "decoder.heads.features.bias")

    result = score("inference.max_samples=50")

    reasons = list_reasons(result)
    assert re.fullmatch(r"its latent of \d+ of \d+ background events is not finite; train it again", reasons["000"])
    assert re.match(r"its error_\w+ of \d+ of \d+ background events is not finite", reasons["001"])
    assert "holds NaN or infinity" in reasons["002"]
    assert re.fullmatch(
        r"its decoded values of \d+ of \d+ background events are not finite; train it again", reasons["003"]
    )
    assert [name for name, reason in reasons.items() if reason is None] == ["004", "005"]
    assert len(list_flags(result)) == 4


class Diverging:
    """A model that copies events, but for some numbers of the later ones.

    Args:
        what: `decoded` or `scores`: what is not finite.
        n_right: The events before are right.
    """

    def __init__(self, what: str = "", n_right: int = 0) -> None:
        self._what, self._n_right = what, n_right

    def run(self, events: Events) -> ModelOutput:
        is_wrong = events.index >= self._n_right
        kinematics, scores = stack_features(events), np.zeros(events.n_events)
        if self._what == "decoded":
            kinematics[np.repeat(is_wrong, events.lengths), 0] = np.inf
        if self._what == "scores":
            scores[is_wrong] = np.nan
        return ModelOutput({"error_mean": scores}, kinematics)


def test_model_that_diverges_in_scored_events_is_named_and_others_go_on() -> None:
    stored = load_events(DataConfig(limit_events=100, synthetic=SyntheticConfig()))
    events = replace(stored.splits["test"], index=np.arange(100))
    scorers = {"good": Diverging(), "decoded": Diverging("decoded", 90), "scores": Diverging("scores", 97)}
    models = tuple(LoadedModel(ScoredModel(name, name, 0, f"run_{name}", None), None, None) for name in scorers)
    tallies = {name: ClosureTally(FEATURES, stored.type_names, [0, 1], []) for name in scorers}
    data = LoadedData(stored, "", "test", events, events, events, (0,), events)
    plan = StreamPlan(scorers, (), stored.type_names, events)

    streamed, restored = drop_failed(stream_all(data, plan, tallies), ModelSet(models, {"other": "gone"}))

    n_wrong = int((events.lengths[90:] > 0).sum())
    assert [model.scored.name for model in restored.models] == ["good"]
    assert restored.not_possible == {
        "other": "gone",
        "run_decoded": f"its decoded values of {n_wrong} of 100 scored events are not finite; train it again",
        "run_scores": "its error_mean of 3 of 100 scored events is not finite; train it again",
    }
    assert set(streamed.table) == {("good", "clean")}
    assert set(streamed.signal) == set(streamed.training) == {"good"}


def test_latent_that_is_no_number_has_scores_that_are_none(restored_run) -> None:
    events = load_events(DataConfig(limit_events=60, synthetic=SyntheticConfig())).splits["test"]
    scorer = ModelScorer(restored_run, PassOptions())
    scorer.fit(events)
    for weights in restored_run.model.encoder.parameters():
        weights.data.fill_(math.nan)

    scores = scorer.run(events).scores

    assert np.isnan(scores["latent_mixture"][events.lengths > 0]).all()


def test_report_goes_on_when_nothing_can_be_fitted_to_any_model(restored_run, monkeypatch) -> None:
    def fail(rows: object, seed: int) -> None:
        raise ValueError("singular\nmatrix")

    monkeypatch.setattr(stream, "DENSITIES", {"mixture": fail})
    events = load_events(DataConfig(limit_events=30, synthetic=SyntheticConfig())).splits["train"]
    model = LoadedModel(ScoredModel("a", "a", 0, "run", None), restored_run, None)
    stored = load_events(DataConfig(limit_events=30, synthetic=SyntheticConfig()))
    data = LoadedData(stored, "", "test", events, events, events, (0,), None)

    scorers, restored = fit_scorers(data, ModelSet((model,), {"other": "gone"}), InferenceConfig())

    assert list(scorers) == [BASELINE] and restored.models == ()
    assert restored.not_possible["run"].startswith("no density can be fitted to its latents (singular matrix); train")
    assert restored.not_possible["other"] == "gone"


def limit_events(run: Path, limit: int) -> None:
    change_checkpoint(run, lambda content: content["config"]["data"].update(limit_events=limit))


@pytest.mark.slow
def test_run_with_the_fewest_events_is_named(sweep: Path, score: Callable[..., InferenceResult]) -> None:
    limit_events(sweep / "002", 40)

    result = score(corruptions=("inference.corruption_strategies=[]",))

    (flag,) = list_flags(result)
    assert re.match(r"No more than 40 events of each split are read, as run \S*002 has data.limit_events=40;", flag)
    assert result.data["n_events"] == 40

    limit_events(sweep / "004", 1)
    with pytest.raises(ReportError, match=r"which is too few; no more than 1 events .* as run \S*004 has"):
        score()


def take_objects_away(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the rows of a table with MET alone."""
    is_met = np.isin(np.arange(rows.shape[1]), (18, 19))
    return np.where(is_met, rows, 0)


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
        ("W_test", lambda old: np.where(np.arange(len(old)) == 3, -1, 1), "X_test, row 3: has the weight -1; a ROC"),
        ("W_test", lambda old: np.zeros(len(old)), "X_test: all weights of label"),
    ],
)
def test_signal_that_cannot_be_scored_is_refused(dataset: str, change, message: str, tmp_path: Path) -> None:
    path = tmp_path / "signal.h5"
    write_tokens_file(path, sample_splits())
    replace_dataset(path, dataset, change(read_dataset(path, "X_test")))
    options = DataConfig(path=str(SAMPLE_PATH))

    with pytest.raises(ReportError, match=f"inference.signal_file: .*signal.h5: {message}"):
        load_signal(options, load_events(options), InferenceConfig(enabled=True, signal_file=str(path)))


def test_weights_of_the_events_are_checked(sweep: Path, infer: Callable[..., Path], tmp_path: Path) -> None:
    write_tokens_file(tmp_path / "events.h5", sample_splits())
    replace_dataset(tmp_path / "events.h5", "W_test", np.where(np.arange(200) == 5, -2.0, 1.0))

    with pytest.raises(ReportError, match=r"events.h5: X_test, row 5: has the weight -2; a ROC curve needs finite"):
        infer(f"inference.data_path={tmp_path / 'events.h5'}", "inference.check_fingerprint=false")


@pytest.mark.parametrize("key", ["data_path", "signal_file"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("{}", "is no file"),
        ("{}/pipe", "is no file"),
        ("{}/gone.h5", "there is no such file"),
        ("~nobody-has-this-name/a.h5", "there is no such file: '~nobody-has-this-name/a.h5'"),
        ("x" * 5000, "cannot be used (File name too long)"),
    ],
)
def test_file_that_is_not_there_is_refused_before_models_are_restored(
    key: str, name: str, reason: str, infer: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(inference_run, "restore_runs", lambda groups: pytest.fail("restored first"))

    with pytest.raises(ReportError, match=re.escape(f"inference.{key}: {reason}")) as refused:
        infer(f"inference.{key}='{name.format(tmp_path)}'")

    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("~nobody-has-this-name/a.h5", "its data file is not there any more: '~nobody-has"),
        ("x" * 5000, "cannot be used (File name too long)"),
        ("/dev", "is no file"),
    ],
)
def test_path_in_a_checkpoint_may_be_anything(path: str, reason: str, restored_run) -> None:
    data = DataConfig(path=path)
    model = LoadedModel(ScoredModel("a", "a", 0, "one", None), replace(restored_run, data=data), None)

    with pytest.raises(ReportError, match=re.escape(f"run one: {reason}")) as refused:
        choose_options([model], InferenceConfig())

    assert len(str(refused.value)) < 400


def test_passes_are_counted_before_they_are_made() -> None:
    splits = load_events(DataConfig(limit_events=50, synthetic=SyntheticConfig()))
    events, few = splits.splits["test"], take_first(splits.splits["train"], 7)
    data = LoadedData(splits, "", "test", events, events, few, (0,), few)
    variants = [Variant("turned", NullPlan("phi_rotation", 0))]
    plan = StreamPlan({BASELINE: BaselineScorer(events, splits.type_names)}, variants, splits.type_names, events)
    done: list[int] = []

    inference_run.stream_events(events, plan, {}, done.append)
    for part in (data.signal, data.unfitted):
        inference_run.stream_clean(part, plan, done.append)

    assert sum(done) == inference_run.count_passes(data, plan) == 50 + 50 + 7 + 7


def test_cross_sections_are_checked_before_events_are_scored(infer: Callable[..., Path], monkeypatch) -> None:
    monkeypatch.setattr(ModelScorer, "fit", lambda self, background: pytest.fail("fitted first"))

    with pytest.raises(ConfigError, match=r"inference\.cross_sections_pb: unknown name 'nothing'; available: "):
        infer("inference.cross_sections_pb={nothing: 1}", "inference.luminosity_fb=1")
