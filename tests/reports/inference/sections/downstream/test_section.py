"""The section on downstream tasks: the loss of every group, and which groups differ."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import thesis_ml
from section_contents import find_check, find_table, list_rows, read_row
from thesis_ml.data.events import keep_events
from thesis_ml.metrics.significance import NO_TEST
from thesis_ml.reports.analyses import compare_tokenizers
from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import Clock, Context
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.sections.downstream import build_downstream, build_section
from thesis_ml.reports.inference.sections.downstream.measure import Results, choose_problem


def make_context(data: LoadedData, **keys: bool) -> Context:
    return Context(InferenceConfig(enabled=True, **keys), (), {}, data, None, {}, {}, Clock())


def make_results(data: LoadedData, n_runs: int = 3) -> Results:
    """Scores of the test events: `a` and `b` are as good as each other, `c` is worse; none makes tokens."""
    problem = choose_problem(data, 0)
    is_signal = problem.mark(problem.test)
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(3, len(is_signal))) + 2 * is_signal
    near = scores + 1e-3 * generator.normal(size=scores.shape)
    far = scores + 3 * generator.normal(size=scores.shape)
    noises = 1e-2 * generator.normal(size=(3, *scores.shape))
    groups = {
        label: {"events": [one + noise for noise in noises[:n_runs]], "tokens": []}
        for label, one in (("a", scores), ("b", near), ("c", far))
    }
    return Results({"events": scores, "tokens": scores}, groups, {"a": 9.0, "b": 9.0, "c": None})


def build(data: LoadedData, results: Results) -> Section:
    return build_section(choose_problem(data, 0), make_context(data), results)


def test_group_that_loses_more_differs_significantly_and_its_equals_do_not(data: LoadedData) -> None:
    section = build(data, make_results(data))

    rows = list_rows(find_table(section, "downstream"))
    assert [row["group"] for row in rows] == ["original", "a", "b", "c"]
    outcomes = {frozenset(row[:2]): row[-1] for row in find_table(section, "downstream_pairs").rows}
    assert outcomes[frozenset("ac")] == outcomes[frozenset("bc")] == "significant"
    assert outcomes[frozenset("ab")] == "not significant"
    assert {row[1] for row in find_table(section, "downstream_pairs").rows if "c" in row[:2]} == {"c"}
    assert rows[3]["events: lost"].is_above(0, n_errors=3)


def test_single_runs_have_no_test(data: LoadedData) -> None:
    section = build(data, make_results(data, n_runs=1))

    assert {row[-1] for row in find_table(section, "downstream_pairs").rows} == {NO_TEST}
    assert not any(test.is_significant for test in section.tests)


def test_form_that_no_model_has_is_blank(data: LoadedData) -> None:
    section = build(data, make_results(data))

    row = read_row(find_table(section, "downstream"), group="a")

    assert (row["tokens: AUROC"], row["tokens: lost"], row["bits of a token"]) == (None, None, 9.0)
    assert {row["form"] for row in list_rows(find_table(section, "downstream_pairs"))} == {"events"}


def test_nothing_is_lost_by_the_original_scores(data: LoadedData) -> None:
    results = make_results(data)
    same = replace(results, groups={"a": {"events": [results.original["events"]], "tokens": []}})

    section = build(data, same)

    assert read_row(find_table(section, "downstream"), group="a")["events: lost"].value == 0


def test_loss_and_its_tests_are_a_column_of_the_scoreboard(data: LoadedData) -> None:
    section = build(data, make_results(data))

    lost = {row["group"]: row["events: lost"] for row in list_rows(find_table(section, "downstream"))}
    assert section.scores == {"downstream_loss": {group: lost[group] for group in "abc"}}
    assert {test.quantity for test in section.tests} == {"downstream_loss"} and len(section.tests) == 3
    assert set(section.summary["baselines"]) >= {"ht", "multiplicity"}


def test_one_class_fails_the_check_and_without_the_key_there_is_no_section(data: LoadedData) -> None:
    alone = replace(data, events=keep_events(data.events, data.events.labels == 0))

    section = build_downstream(make_context(alone, downstream=True))

    assert find_check(section.checks, "downstream").state == "failed"
    assert section.tables == ()
    assert build_downstream(make_context(data)) is None


@pytest.mark.slow
def test_report_measures_and_exports(sweep: Path, outputs: Path, compose_report) -> None:
    keys = ("inference.enabled=true", "inference.corruption_strategies=[]", "inference.downstream=true")

    compare_tokenizers.run_report(
        compose_report("compare_tokenizers", f"inputs.sweep_dir={sweep}", *keys, "inference.export=codes")
    )

    (report,) = (outputs / "reports").iterdir()
    summary = json.loads((report / "inference" / "summary.json").read_text(encoding="utf-8"))
    rows = {row["group"]: row for row in summary["downstream"]["rows"]}
    assert list(rows) == ["original", "linear", "vq"]
    assert (rows["vq"]["runs"], rows["vq"]["bits of a token"], rows["linear"]["bits of a token"]) == (3, 9.0, None)
    for form in ("events", "tokens"):
        assert rows["vq"][f"{form}: AUROC"] + rows["vq"][f"{form}: lost"] == pytest.approx(
            rows["original"][f"{form}: AUROC"]
        )
        assert rows["vq"][f"{form}: lost_error"] > 0
    files = sorted(path.name for path in (report / "inference").glob("*.h5"))
    assert files == [f"codes_vq-seed-{seed}.h5" for seed in (0, 1, 2)]
    failed = [check["text"] for check in summary["exports"]["checks"] if check["state"] == "failed"]
    assert len(failed) == 3
    assert "has no codes; use inference.export=latents" in failed[0]
    tokenizer = thesis_ml.load_tokenizer(sweep / "004")
    with h5py.File(report / "inference" / files[1]) as file:
        assert file.attrs["checkpoint_hash"] == tokenizer.fingerprint
        decoded = tokenizer.decode(file["codes_test"][:], file["lengths_test"][:])
    assert decoded.n_events == 300
