"""What classifiers lose to tokenisation: nothing where nothing is lost, and an error that covers events and seeds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thesis_ml.data.events import keep_events
from thesis_ml.metrics.auroc import SeedDifference, compare_trainings
from thesis_ml.metrics.significance import NO_TEST
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.sections.downstream import measure as downstream
from thesis_ml.reports.inference.sections.downstream.measure import (
    EventTables,
    choose_problem,
    compare_runs,
    compare_tokenizers,
    fit_scores,
    measure_baselines,
    measure_group,
    summarise_tokens,
)


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

    assert compare_runs([scores], [scores], is_signal) == SeedDifference(0.0, 0.0, 0.0)


def test_error_holds_events_and_seeds() -> None:
    generator = np.random.default_rng(1)
    is_signal = generator.random(500) < 0.5
    original = generator.normal(size=(3, 500)) + 2 * is_signal
    runs = [generator.normal(size=(3, 500)) + shift * is_signal for shift in (0.5, 1.0, 1.5)]

    one, several = compare_runs([original], runs[1:2], is_signal), compare_runs([original], runs, is_signal)

    assert one == compare_trainings([[scores] for scores in original], [[scores] for scores in runs[1]], is_signal)
    assert several == compare_trainings([[scores] for scores in original], [list(run) for run in runs], is_signal)
    assert several.margin > several.error > 2 * one.error


@pytest.mark.slow
def test_classifier_finds_in_tables_what_they_hold(data: LoadedData) -> None:
    problem = choose_problem(data, 0)
    reference = EventTables(problem, data.stored.type_names)
    is_signal = problem.mark(problem.test)

    original = {
        "events": fit_scores(reference.pool, problem),
        "tokens": fit_scores(reference.summarise_inputs, problem),
    }
    lengths_alone = fit_scores(lambda events: torch.from_numpy(events.lengths)[:, None], problem)
    losses = measure_group(original, {"events": [original["events"]], "tokens": [lengths_alone]}, is_signal)

    assert losses["events"].auroc.value > 0.77
    assert losses["events"].lost.value == 0
    assert losses["tokens"].lost.is_above(0, n_errors=3)


def draw_runs(shift: float, noise: float, n_runs: int = 3, n_events: int = 500) -> list[np.ndarray]:
    """Return scores of three classifiers for each run, of events of which the second half is signal."""
    generator = np.random.default_rng(4)
    shared = generator.normal(size=(3, n_events)) + shift * (np.arange(n_events) >= n_events / 2)
    return [shared + noise * generator.normal(size=shared.shape) for _ in range(n_runs)]


def test_pairs_of_tokenizers_differ_where_events_and_runs_agree() -> None:
    is_signal = np.arange(500) >= 250
    groups = {"far": draw_runs(0.3, 0.01), "good": draw_runs(2.0, 0.01), "near": draw_runs(2.0, 0.02)}

    tests = {frozenset((one.first, one.second)): one for one in compare_tokenizers("events", groups, is_signal)}

    assert len(tests) == 3
    assert tests[frozenset(("far", "good"))].first == "good"
    assert tests[frozenset(("far", "good"))].is_significant and tests[frozenset(("far", "near"))].is_significant
    assert not tests[frozenset(("good", "near"))].is_significant


def test_single_runs_have_no_test_and_make_that_of_others_no_harder() -> None:
    is_signal = np.arange(500) >= 250
    two = {"far": draw_runs(0.3, 0.01), "good": draw_runs(0.6, 0.01)}

    (alone,) = compare_tokenizers("events", two, is_signal)
    with_single = compare_tokenizers("events", {**two, "one": draw_runs(1.0, 0.01, n_runs=1)}, is_signal)

    outcomes = {frozenset((one.first, one.second)): one for one in with_single}
    assert outcomes[frozenset(("far", "one"))].outcome == NO_TEST
    assert outcomes[frozenset(("far", "good"))].p_events == alone.p_events
    assert outcomes[frozenset(("far", "good"))].p_seeds == alone.p_seeds


def test_baselines_are_variables_of_the_original_events(data: LoadedData) -> None:
    baselines = measure_baselines(choose_problem(data, 0), data.stored.type_names)

    assert {"multiplicity", "ht", "ht_miss", "leading_pt"} <= set(baselines)
    assert all(measured.error > 0 for measured in baselines.values())
