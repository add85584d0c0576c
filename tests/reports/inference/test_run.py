"""Inference on a sweep that really trained: what a report says and leaves, and what it refuses."""

import io
import math
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from inference_runs import change_checkpoint, list_checks, list_reasons, read_inference
from section_contents import find_check, list_states
from thesis_ml.data.tokens import SAMPLE_PATH
from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.reports.contents import InferenceResult
from thesis_ml.reports.inference import context
from thesis_ml.reports.inference.changes.nulls import NULLS
from thesis_ml.reports.inference.scoring.event_scores import BASELINE


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.slow
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
    names = ("closure", "codebooks", "separation", "exports", "inference", "methods")
    places = [page.index(f'id="{name}"') for name in names]
    assert places == sorted(places)
    board = (report / "tables" / "groups.csv").read_text(encoding="utf-8").partition("\n")[0].split(",")
    assert {"jet_mass", "lead", "parameters"} <= set(board)


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
    assert [check["state"] for check in summary["inference"]["checks"] if check["name"] == "models"] == ["failed"] * 4
    assert "was not scored" in (report / "index.html").read_text(encoding="utf-8")


def test_report_goes_on_with_failed_checks_when_no_run_can_be_restored(sweep: Path, infer: Callable[..., Path]) -> None:
    for path in sweep.glob("*/best_val.pt"):
        path.write_bytes(b"nothing")

    report = infer()

    summary = read_inference(report)
    assert all("not a readable checkpoint" in model["not_possible"] for model in summary["models"].values())
    checks = summary["inference"]["checks"]
    assert [(check["name"], check["state"]) for check in checks] == [("models", "failed")] * 6
    assert all("was not scored" in check["text"] for check in checks)
    assert set(summary) == {"summary_schema_version", "data", "models", "inference"}


@pytest.mark.slow
def test_other_file_is_scored_when_the_fingerprint_may_differ(
    score: Callable[..., InferenceResult], tmp_path: Path
) -> None:
    signal = shutil.copy(SAMPLE_PATH, tmp_path / "signal.h5")
    with h5py.File(signal, "a") as file:
        file.attrs["made_of"] = "other collisions"
    other = (f"inference.data_path={SAMPLE_PATH}", "inference.check_fingerprint=false", "inference.max_samples=1")

    result = score(*other, f"inference.signal_file={signal}", corruptions=("inference.corruption_strategies=[]",))

    data = result.data
    assert (data["n_events"], data["n_signal_file"]) == (1, 1)
    assert data["path"] == str(SAMPLE_PATH)
    (separation,) = [section for section in result.sections if section.name == "separation"]
    assert separation.scores["lead"] == {} and "note" in list_states(separation.checks, "few events")


@pytest.mark.slow
def test_chosen_scores_alone_are_kept(infer: Callable[..., Path]) -> None:
    report = infer("inference.metrics=[error_max]", "inference.persist_raw_scores=true", "inference.autocast=true")

    with h5py.File(report / "inference" / "scores.h5") as file:
        kept = {group.attrs["scorer"]: set(group) for group in file["scores"].values()}
    assert kept["vq, seed 0"] == {"error_max"}
    assert {"ht", "multiplicity"} <= kept[BASELINE]


@pytest.mark.slow
def test_training_split_is_judged_by_densities_of_other_events(
    infer: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    report = infer("inference.dataset_split=train")

    summary = read_inference(report)
    assert summary["data"]["fitted_split"] == "val"
    assert "held_out" not in {check["null"] for check in summary["separation"]["nulls"]}
    checks = [(check["name"], check["state"]) for check in summary["separation"]["checks"]]
    assert ("split", "failed") in checks and "overtraining" not in dict(checks)
    events = (report / "inference" / "events.csv").read_text(encoding="utf-8")
    assert 'background events of the validation split, to fit densities",' in events
    shown = capsys.readouterr().out
    assert "✗ split: The training split is scored" in shown
    assert shown.rindex("✗") < shown.index("✓")


@pytest.mark.slow
def test_scores_of_codes_alone_are_not_asked_of_models_without(score: Callable[..., InferenceResult]) -> None:
    result = score("inference.metrics=[code_mean]", "inference.max_samples=60")

    found = find_check(list_checks(result), "scores")
    assert (found.state, found.text) == (
        "note",
        "linear has no codes, and inference.metrics asks for scores of codes only.",
    )
    with pytest.raises(ConfigError, match=r"^inference\.metrics: no model has code_mean, as none has a codebook; ask"):
        score("inference.metrics=[code_mean]", "inputs.select=[latent_space:linear]")


def set_weights(run: Path, value: float, part: str) -> None:
    """Overwrite the weights of a part of a model in the checkpoint of its run."""

    def change(content: dict) -> None:
        for name, tensor in content["model"].items():
            if name.startswith(part) and tensor.is_floating_point():
                tensor.fill_(value)

    change_checkpoint(run, change)


@pytest.mark.slow
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
    assert list_states(list_checks(result), "models") == ["failed"] * 4


def limit_events(run: Path, limit: int) -> None:
    change_checkpoint(run, lambda content: content["config"]["data"].update(limit_events=limit))


@pytest.mark.slow
def test_run_with_the_fewest_events_is_named(sweep: Path, score: Callable[..., InferenceResult]) -> None:
    limit_events(sweep / "002", 40)

    result = score(corruptions=("inference.corruption_strategies=[]",))

    found = find_check(list_checks(result), "events")
    assert found.state == "note"
    text = r"No more than 40 events of each split are read, as run \S*002 has data.limit_events=40;"
    assert re.match(text, found.text)
    assert result.data["n_events"] == 40

    limit_events(sweep / "004", 1)
    with pytest.raises(ReportError, match=r"which is too few; no more than 1 events .* as run \S*004 has"):
        score()


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
    monkeypatch.setattr(context, "restore_runs", lambda groups: pytest.fail("restored first"))

    with pytest.raises(ReportError, match=re.escape(f"inference.{key}: {reason}")) as refused:
        infer(f"inference.{key}='{name.format(tmp_path)}'")

    assert len(str(refused.value)) < 400
