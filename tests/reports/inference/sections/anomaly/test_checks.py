"""Checks of scores with known answers: contamination, overtraining, null tests, and too few events."""

from dataclasses import replace

import numpy as np
import pytest

from scored_splits import add_signal_file, make_split, solve
from section_contents import find_check, list_states
from thesis_ml.reports.contents import Check
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly.checks import check_contamination, check_result
from thesis_ml.reports.inference.sections.anomaly.files import list_numbers


def check(scored: EventScores) -> list[Check]:
    return list(check_result(solve(scored)))


def test_scores_without_a_defect_pass_all_checks() -> None:
    checks = check(make_split())

    assert {one.name: one.state for one in checks} == {
        "contamination": "passed",
        "overtraining": "passed",
        "null tests": "passed",
    }


def test_events_that_models_were_trained_on_fail_the_check_of_the_split() -> None:
    assert list_states(check(make_split(channel="train", training={})), "split") == ["failed"]
    assert list_states(check(make_split()), "split") == []


def test_signal_among_the_training_labels_is_a_note() -> None:
    scored = make_split()
    held = replace(scored, models=[replace(model, train_classes=None) for model in scored.models])

    (found,) = check_contamination(solve(held))

    assert (found.name, found.state) == ("contamination", "note")
    assert found.text.startswith("The training events hold ttH:")


def test_signal_file_whose_class_was_trained_on_fails_by_its_name() -> None:
    scored = make_split()

    new, known = (
        list(check_contamination(solve(add_signal_file(scored, classes)))) for classes in (("tttt",), ("ttbar", "tttt"))
    )

    assert [one.state for one in new] == ["passed"]
    assert [one.state for one in known] == ["failed"]
    assert known[0].text == "vq and none: the training events hold the class of inference.signal_file."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signal_classes", "label_names"),
    [(("tttt",), {}), ((None,), {0: "ttbar", 1: "ttH"}), (("tttt", None), {0: "ttbar"}), ((), {0: "ttbar"})],
)
def test_classes_without_names_may_have_been_trained_on(
    signal_classes: tuple[str | None, ...], label_names: dict[int, str]
) -> None:
    result = solve(add_signal_file(make_split(label_names=label_names), signal_classes))

    (found,) = check_contamination(result)

    assert found.state == "note"
    assert found.text.startswith("vq and none: unknown whether trained on the class of inference.signal_file;")
    assert "write the attribute label_meaning" in found.text
    assert list_numbers(result)["problems"]["signal_file"]["contamination_unknown"] == ["vq", "none"]


def test_score_that_changes_under_a_rotation_fails_the_null_tests() -> None:
    scored = make_split()
    table = dict(scored.table)
    table["vq, seed 0", "phi_rotation"] = {name: values + 0.5 for name, values in table["vq, seed 0", "clean"].items()}

    found = find_check(check(replace(scored, table=table)), "null tests")

    assert found.state == "failed"
    assert found.text.startswith("2 of 21 fail, 0.0 expected by chance;")
    assert "error_mean of vq, seed 0 (0.6" in found.text


def test_score_that_knows_its_training_events_fails_the_overtraining_check() -> None:
    scored = make_split(3000, groups=("vq",))
    scored.training["vq, seed 0"]["error_mean"] = np.random.default_rng(1).normal(-0.5, 1.0, 2000)

    checks = check(scored)

    found = find_check(checks, "overtraining")
    assert found.state == "failed" and "models err less on their training background" in found.text
    assert list_states(checks, "null tests") == ["passed"]


def test_events_that_are_not_symmetric_have_no_reflection_among_their_null_tests() -> None:
    checks = check(make_split(is_symmetric=False))

    assert list_states(checks, "eta reflection") == ["note"]
    assert find_check(checks, "null tests").text == "All 14 are within their errors."


@pytest.mark.parametrize("n_events", [2, 19])
def test_too_few_events_are_noted_and_fail_no_null_test(n_events: int) -> None:
    scored = make_split(n_events)
    table = {
        key: {name: values + (key == ("vq, seed 0", "phi_rotation")) for name, values in scores.items()}
        for key, scores in scored.table.items()
    }

    checks = check(replace(scored, table=table))

    assert "failed" not in list_states(checks, "null tests") and "note" in list_states(checks, "null tests")
    assert list_states(checks, "overtraining") == ["note"]
    assert find_check(checks, "few events").text.startswith("ttH against the rest, lost_object 0.1, lost_object 0.2")


def test_too_few_signal_events_are_noted_beside_enough_background() -> None:
    few = check(add_signal_file(make_split(), ("tttt",), n_events=5))
    enough = check(add_signal_file(make_split(), ("tttt",), n_events=20))

    assert find_check(few, "few events").text.startswith("inference.signal_file against background: fewer than 20")
    assert list_states(enough, "few events") == []


def test_corruption_that_empties_most_events_is_noted() -> None:
    scored = make_split()
    table = dict(scored.table)
    table[BASELINE, "lost_object 0.4"] = {name: np.zeros(1200) for name in table[BASELINE, "lost_object 0.4"]}

    few, most = (check(one) for one in (scored, replace(scored, table=table)))

    assert list_states(few, "empty events") == []
    assert find_check(most, "empty events").text.startswith("lost_object 0.4: most corrupted events have no objects")
    assert find_check(most, "empty events").state == "note"
