"""Problems that the scores of a split can be asked."""

from dataclasses import replace

import numpy as np

from scored_splits import add_signal_file, make_split
from thesis_ml.reports.inference.scoring.event_scores import EventScores
from thesis_ml.reports.inference.sections.anomaly.problems import list_problems


def test_of_two_labels_the_one_that_was_not_trained_on_is_signal_and_of_three_each() -> None:
    scored = make_split()
    three = np.where(np.arange(1200) % 5 == 0, 2, scored.labels)

    def list_labels(some: EventScores) -> list[str]:
        return [problem.name for problem in list_problems(some) if problem.kind == "label"]

    assert list_labels(scored) == ["ttH"]
    assert list_labels(replace(scored, background=(1,))) == ["ttbar"]
    assert list_labels(replace(scored, labels=three)) == ["ttbar", "ttH", "label 2"]
    assert list_labels(replace(scored, labels=np.zeros(1200, dtype=np.int64))) == []


def test_middle_strength_stands_for_its_corruption() -> None:
    problems = [problem for problem in list_problems(make_split()) if problem.kind == "corruption"]

    assert [problem.strength for problem in problems] == [0.1, 0.2, 0.4]
    assert [problem.is_reference for problem in problems] == [False, True, False]
    assert all(problem.is_paired for problem in problems)


def test_smaller_side_of_a_problem_is_counted() -> None:
    problems = {problem.name: problem for problem in list_problems(add_signal_file(make_split(), (), n_events=30))}

    assert {name: problem.n_fewest for name, problem in problems.items()} == {
        **{f"lost_object {strength:g}": 800 for strength in (0.1, 0.2, 0.4)},
        "ttH": 400,
        "signal_file": 30,
    }
