"""What classifiers lose to tokenisation: nothing where nothing is lost, and an error that covers events and seeds."""

import json
import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import thesis_ml
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import keep_events
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import ConfigError
from thesis_ml.metrics.auroc import compare_mean_aurocs, compute_auroc
from thesis_ml.reports.analyses import compare_tokenizers
from thesis_ml.reports.inference.models import LoadedData
from thesis_ml.reports.inference.sections.downstream import measure as downstream
from thesis_ml.reports.inference.sections.downstream.measure import (
    Reference,
    Results,
    build_section,
    choose_problem,
    compare_runs,
    describe_form,
    fit_scores,
    measure_group,
    summarise_tokens,
)


@pytest.fixture(scope="module")
def data() -> LoadedData:
    """Synthetic events of the classes 0 and 1, and anomalies with label 2 that only the test split has."""
    synthetic = SyntheticConfig(n_train=3000, n_val=300, n_test=1500, inject="dijet_resonance")
    stored = load_events(DataConfig(synthetic=synthetic))
    train, test = stored.splits["train"], stored.splits["test"]
    return LoadedData(stored, "fingerprint", "test", test, train, train, (0,), None)


def test_classes_that_nothing_can_learn_are_left_out(data: LoadedData) -> None:
    problem = choose_problem(data, 0)

    assert (problem.background, problem.signal) == ((0,), (1,))
    assert set(np.unique(problem.test.labels)) == {0, 1}
    assert 0 < problem.mark(problem.test).mean() < 1


def test_training_events_are_not_what_is_measured_on(data: LoadedData) -> None:
    problem = choose_problem(replace(data, split="train", events=data.stored.splits["train"]), 0)

    assert problem.test.n_events < 1500


def test_background_that_leaves_no_signal_gives_way_to_the_commonest_class(data: LoadedData) -> None:
    problem = choose_problem(replace(data, background_classes=(0, 1)), 0)

    assert len(problem.background) == len(problem.signal) == 1


def test_one_class_is_no_problem(data: LoadedData) -> None:
    events = keep_events(data.events, data.events.labels == 0)

    assert choose_problem(replace(data, events=events), 0) is None


def test_classifiers_learn_from_all_of_a_file_that_is_sorted_by_class(data: LoadedData, monkeypatch) -> None:
    monkeypatch.setattr(downstream, "MOST_TRAIN", 500)
    train = data.stored.splits["train"]
    events = replace(train, labels=np.sort(train.labels))
    stored = replace(data.stored, splits={**data.stored.splits, "train": events})

    problem = choose_problem(replace(data, stored=stored), 0)

    assert problem.train.n_events == 500
    assert problem.mark(problem.train).mean() == pytest.approx((events.labels == 1).mean(), abs=0.08)


def test_moments_know_no_order_and_no_company() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([3, 0, 2, 4])
    values = torch.randn(9, 5, generator=generator)
    reversed_in_events = torch.tensor([2, 1, 0, 4, 3, 8, 7, 6, 5])

    moments = summarise_tokens(values, lengths)

    assert moments.shape == (4, 21)
    torch.testing.assert_close(summarise_tokens(values.index_select(0, reversed_in_events), lengths), moments)
    torch.testing.assert_close(summarise_tokens(values[3:5], torch.tensor([2])), moments[2:3])
    assert moments[1].abs().sum() == 0


def test_nothing_is_lost_where_scores_are_the_same() -> None:
    generator = np.random.default_rng(0)
    is_signal = generator.random(400) < 0.4
    scores = generator.normal(size=(3, 400)) + is_signal

    assert compare_runs([scores], [scores], is_signal) == (0.0, 0.0)


def test_error_holds_events_and_seeds() -> None:
    generator = np.random.default_rng(1)
    is_signal = generator.random(500) < 0.5
    original = generator.normal(size=(3, 500)) + 2 * is_signal
    tokens = generator.normal(size=(3, 500)) + is_signal

    difference = compare_runs([original], [tokens], is_signal)

    values = [
        compute_auroc(ours, is_signal) - compute_auroc(theirs, is_signal)
        for ours, theirs in zip(original, tokens, strict=True)
    ]
    assert difference.value == pytest.approx(np.mean(values))
    events = compare_mean_aurocs(list(original), list(tokens), is_signal).error
    expected = math.hypot(events, np.std(values, ddof=1) / math.sqrt(3))
    assert difference.error == pytest.approx(expected)


def test_error_covers_the_difference_that_chance_makes() -> None:
    pulls = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        is_signal = np.arange(300) < 150
        shared = generator.normal(size=300) + is_signal
        first, second = (shared + 0.5 * generator.normal(size=(3, 300)) for _ in range(2))
        difference = compare_runs([first], [second], is_signal)
        pulls.append(difference.value / difference.error)

    # Scores of one seed are correlated less with those of another than the error assumes: it is on the safe side.
    assert 0.4 < np.std(pulls) < 1.15


def test_classifier_finds_in_tables_what_they_hold(data: LoadedData) -> None:
    problem = choose_problem(data, 0)
    reference = Reference(problem, data.stored.type_names)
    is_signal = problem.mark(problem.test)

    original = {
        "events": fit_scores(reference.pool, problem),
        "tokens": fit_scores(reference.summarise_inputs, problem),
    }
    lengths_alone = fit_scores(lambda events: torch.from_numpy(events.lengths)[:, None], problem)
    losses = measure_group(original, {"events": [original["events"]], "tokens": [lengths_alone]}, is_signal)

    assert losses["events"].auroc > 0.77
    assert (losses["events"].lost, losses["events"].error) == (0.0, 0.0)
    assert losses["tokens"].lost > 3 * losses["tokens"].error > 0


def test_section_names_the_best_and_what_cannot_be_told_from_it(data: LoadedData) -> None:
    problem = choose_problem(data, 0)
    is_signal = problem.mark(problem.test)
    generator = np.random.default_rng(0)
    scores = generator.normal(size=(3, len(is_signal))) + 2 * is_signal
    near = scores + 1e-3 * generator.normal(size=scores.shape)
    far = scores + 3 * generator.normal(size=scores.shape)
    noises = 1e-2 * generator.normal(size=(3, *scores.shape))
    groups = {
        label: {"events": [one + noise for noise in noises], "tokens": []}
        for label, one in (("a", scores), ("b", near), ("c", far))
    }
    single = {label: {**forms, "events": forms["events"][:1]} for label, forms in groups.items()}
    results = Results({"events": scores, "tokens": scores}, groups, dict.fromkeys(groups))

    section = build_section(problem, data, results)

    sentence = section.sentences[1]
    best, rest = sentence.split("; more is lost by ")
    worse, equal = rest.split("; it cannot be told apart from ")
    assert {best.split("that of ")[1][0], equal[0]} == {"a", "b"}
    assert worse.startswith("c (")
    alone = build_section(problem, data, replace(results, groups=single)).sentences[1]
    assert "; one run each: no verdict on tokenizers for " in alone
    assert "more is lost" not in alone
    assert section.sentences[2] == "No model makes tokens themselves."
    assert [row[0] for row in section.tables[0].rows] == ["original", "a", "b", "c"]
    outcomes = {frozenset(row[:2]): row[-1] for row in section.tables[1].rows}
    assert outcomes[frozenset("ac")] == outcomes[frozenset("bc")] == "distinguishable"
    assert outcomes[frozenset("ab")].startswith("cannot be told apart")
    assert {row[1] for row in section.tables[1].rows if "c" in row[:2]} == {"c"}
    same = {"a": measure_group(results.original, {"events": [scores]}, is_signal)}
    assert describe_form("events", same, results, ()) == (
        "On reconstructed events, a loses 0.0000 ± 0.0000 of the AUROC."
    )


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
        assert rows["vq"][f"{form}: error"] > 0
    files = sorted(path.name for path in (report / "inference").glob("*.h5"))
    assert files == [f"codes_vq-seed-{seed}.h5" for seed in (0, 1, 2)]
    assert len(summary["exports"]["flags"]) == 3
    assert "has no codes; use inference.export=latents" in summary["exports"]["flags"][0]
    tokenizer = thesis_ml.load_tokenizer(sweep / "004")
    with h5py.File(report / "inference" / files[1]) as file:
        assert file.attrs["checkpoint_hash"] == tokenizer.fingerprint
        decoded = tokenizer.decode(file["codes_test"][:], file["lengths_test"][:])
    assert decoded.n_events == 300


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inference.export=tokens", r"inference.export: .*'tokens'.*codes.*latents.*reconstruction"),
        ("inference.export=codes", "inference.export: must be given with inference.enabled=true, got 'codes'"),
        ("inference.downstream=true", "inference.downstream: must be given with inference.enabled=true, got True"),
    ],
)
def test_keys_that_cannot_be_obeyed_are_refused(override: str, message: str, sweep: Path, compose_report) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_tokenizers.run_report(compose_report("compare_tokenizers", f"inputs.sweep_dir={sweep}", override))
