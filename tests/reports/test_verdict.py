"""The verdict ranks only groups that can be compared, and the headline says no more than the tests allow."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from thesis_ml.facts.runs import read_run
from thesis_ml.reports.checks import check_references, check_runs
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.config import ReportConfig
from thesis_ml.reports.contents import Check, Reference
from thesis_ml.reports.report import compare
from thesis_ml.reports.utils.collection import Collection
from thesis_ml.reports.utils.discovery import InputsConfig
from thesis_ml.reports.verdict import write_headline
from written_runs import read_lines, write_lines, write_run


def compare_folders(folder: Path) -> Comparison:
    runs = tuple(read_run(path, path.name) for path in sorted(folder.iterdir()))
    return compare(Collection(runs, ()), ReportConfig("compare_runs", InputsConfig()))


def find_checks(comparison: Comparison, name: str) -> list[Check]:
    return [check for check in check_runs(comparison) if check.name == name]


def headline(comparison: Comparison) -> tuple[str, ...]:
    return write_headline(comparison, check_runs(comparison))


def write_group(folder: Path, name: str, values: list[float], **config: Any) -> None:
    for seed, value in enumerate(values):
        write_run(folder / f"{name}{seed}", seed=seed, rec_mse=value, **config)


def change_test(path: Path, **numbers: float) -> None:
    facts = read_lines(path)
    facts[-1]["metrics"]["test"].update(numbers)
    write_lines(path, facts)


LINEAR = {"phase1__latent_space": {"name": "linear", "latent_dim": 4}}


def test_compatible_groups_are_named_together(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032], phase1__latent_space__codebook_size=512)
    write_group(tmp_path, "b", [0.060, 0.062, 0.064], phase1__latent_space__codebook_size=64)
    write_group(tmp_path, "c", [0.029, 0.032, 0.0325], phase1__latent_space__codebook_size=500)

    comparison = compare_folders(tmp_path)

    assert comparison.verdict.column == "rec_mse"
    assert comparison.verdict.ranking == ("codebook_size 512", "codebook_size 500", "codebook_size 64")
    assert headline(comparison)[0] == (
        "codebook_size 512 and codebook_size 500 are statistically compatible in rec_mse; "
        "1 other group is significantly worse."
    )


def test_single_best_group_is_named_with_its_error_and_p_value(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032], phase1__latent_space__codebook_size=512)
    write_group(tmp_path, "b", [0.060, 0.062, 0.064], phase1__latent_space__codebook_size=64)

    first, *others = headline(compare_folders(tmp_path))

    assert first.startswith("Smallest rec_mse: codebook_size 512, 0.0310 ± 0.0010, significantly better than codebook_")
    assert "(p <= 0.0" in first
    assert others == []


def test_one_seed_gives_no_test_and_a_failed_check(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rec_mse=0.1, phase1__latent_space__codebook_size=8)
    write_run(tmp_path / "b", rec_mse=0.9)

    comparison = compare_folders(tmp_path)

    assert not any(test.is_significant for test in comparison.verdict.tests)
    assert headline(comparison) == (
        "Smallest rec_mse: codebook_size 8, 0.1; with one seed there is no significance test.",
        "Failed checks: seeds.",
    )
    (seeds,) = find_checks(comparison, "seeds")
    assert seeds.state == "failed"
    assert seeds.text.startswith("codebook_size 8 and codebook_size 512: fewer than 3 seeds")


def test_group_that_copies_collapsed_or_is_worse_than_the_mean_is_never_best(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [1e-5, 1.1e-5, 1.2e-5], **LINEAR)
    write_group(tmp_path, "b", [0.060, 0.062, 0.064])
    write_group(tmp_path, "c", [0.010, 0.011, 0.012], phase1__latent_space__codebook_size=500)
    write_group(tmp_path, "d", [1.1, 1.2, 1.3], phase1__latent_space__codebook_size=32)
    for path in tmp_path.glob("c*"):
        change_test(path, perplexity=2.7)

    comparison = compare_folders(tmp_path)

    labels = {label.split()[-1]: reason for label, reason in comparison.verdict.unranked.items()}
    assert [label.split()[-1] for label in comparison.verdict.ranking] == ["512"]
    assert "copied" in labels["linear"] and "collapsed" in labels["500"] and "mean of all tokens" in labels["32"]
    assert "linear" not in headline(comparison)[0]
    assert headline(comparison)[2].startswith("Not ranked: ")
    (collapsed,) = find_checks(comparison, "collapsed codebooks")
    assert collapsed.state == "failed"
    assert "(perplexity 2.7 of 500)" in collapsed.text
    assert [check.state for check in find_checks(comparison, "copying latents")] == ["note"]


@pytest.mark.parametrize(
    ("numbers", "check", "reason"),
    [
        ({"kl_bits": 0.0024}, "collapsed latents", "latents that hold nothing of a token"),
        ({"bits_per_token": 0.0}, "collapsed latents", "latents that hold nothing of a token"),
        ({"rec_mse": 0.985}, "mean of all tokens", "an error no better than that of the mean of all tokens"),
    ],
)
def test_latents_that_hold_nothing_do_not_copy(
    tmp_path: Path, numbers: dict[str, float], check: str, reason: str
) -> None:
    write_group(tmp_path, "a", [0.9, 0.91, 0.92], **(LINEAR if check == "collapsed latents" else {}))
    for path in tmp_path.iterdir():
        change_test(path, **numbers)

    comparison = compare_folders(tmp_path)

    assert list(comparison.verdict.unranked.values()) == [reason]
    assert [found.state for found in find_checks(comparison, check)] == ["failed"]
    assert find_checks(comparison, "copying latents") == []


def test_groups_that_all_copy_rank_nothing(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [1e-5, 1.1e-5, 1.2e-5], **LINEAR)

    comparison = compare_folders(tmp_path)

    assert headline(comparison)[0] == "No group can be ranked by rec_mse."
    assert [check.state for check in find_checks(comparison, "copying latents")] == ["failed"]


@pytest.mark.parametrize(
    ("config", "column", "part"),
    [
        ({"data__phi": "wrapped"}, "width68_pt", "encoding of phi (cos_sin: 3 runs, wrapped: 3 runs)"),
        ({"data__features": ["pt", "eta", "phi"]}, "width68_pt", "features"),
        ({"data__train_classes": [0]}, "width68_pt", "data.train_classes"),
        ({"data__limit_events": 100}, None, "data.limit_events (all: 3 runs, 100: 3 runs)"),
    ],
)
def test_runs_of_different_units_are_compared_in_physical_ones_or_not_at_all(
    config: dict[str, Any], column: str | None, part: str, tmp_path: Path
) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032])
    write_group(tmp_path, "b", [0.060, 0.062, 0.064], **config)

    comparison = compare_folders(tmp_path)

    (check,) = find_checks(comparison, "comparability")
    assert check.state == "failed"
    assert part in check.text
    assert comparison.verdict.column == column
    assert not any("rec_mse" in sentence for sentence in headline(comparison))
    if column is None:
        assert comparison.verdict.tests == ()
        assert headline(comparison)[0] == "No ranking: the runs cannot be compared in one number."


def test_runs_on_other_data_are_not_compared(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032])
    facts = read_lines()
    facts[0]["meta"]["dataset_fingerprint"] = "another"
    facts[0]["meta"]["run_id"] = facts[-1]["meta"]["run_id"] = "other"
    write_lines(tmp_path / "b", facts)

    comparison = compare_folders(tmp_path)

    (other,) = comparison.excluded
    assert (other.name, other.state) == ("b", "complete") and "other data than the compared runs" in other.reason
    assert len(comparison.runs) == 3 and find_checks(comparison, "comparability")[0].state == "passed"


def test_runs_that_are_left_out_name_the_column_that_chooses_them(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032])
    facts = read_lines(write_run(tmp_path / "b", data__path="b.h5"))
    facts[0]["meta"]["dataset_fingerprint"] = facts[0]["meta"]["run_id"] = facts[-1]["meta"]["run_id"] = "other"
    write_lines(tmp_path / "b", facts)

    (other,) = compare_folders(tmp_path).excluded

    assert other.reason.startswith("data.path is b.h5, ")
    assert other.reason.endswith("in the compared runs; choose with inputs.select=[data.path:b.h5]")


def test_runs_of_another_encoding_name_the_selection_of_the_largest_set(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032])
    write_group(tmp_path, "b", [0.060], data__phi="wrapped")

    (check,) = find_checks(compare_folders(tmp_path), "comparability")

    assert re.search(r"physical units are compared; for more choose inputs\.select=\[data\.phi:(\w+)\]\.", check.text)
    assert "wrapped]" not in check.text


def test_as_many_runs_on_other_data_stay_and_are_not_compared(tmp_path: Path) -> None:
    for name in ("a", "b"):
        facts = read_lines(write_run(tmp_path / name))
        facts[0]["meta"]["dataset_fingerprint"] = facts[0]["meta"]["run_id"] = facts[-1]["meta"]["run_id"] = name
        write_lines(tmp_path / name, facts)

    comparison = compare_folders(tmp_path)

    assert comparison.verdict.tests == ()
    (check,) = find_checks(comparison, "comparability")
    assert "data (fingerprint)" in check.text and "b: 1 run" in check.text


def test_val_loss_never_ranks(tmp_path: Path) -> None:
    for name, size in (("a", 8), ("b", 16)):
        facts = read_lines(write_run(tmp_path / name, phase1__latent_space__codebook_size=size))
        for fact in facts:
            for numbers in fact.get("metrics", {}).values():
                for key in [key for key in numbers if key != "loss"]:
                    del numbers[key]
        write_lines(tmp_path / name, facts)

    assert compare_folders(tmp_path).verdict.column is None


def test_notes_name_types_matching_and_seeds(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.1, 0.2, 0.3], phase1__decoder__types_beta=0.0)
    write_group(tmp_path, "b", [0.1, 0.2, 0.3], **LINEAR)
    write_run(tmp_path / "c", seed=0, rec_mse=0.15, phase1__decoder__types_beta=0.0)
    for path in tmp_path.glob("b*"):
        facts = read_lines(path)
        facts[0]["matching"] = "event"
        facts[-1]["metrics"]["test"]["type_accuracy"] = 0.5
        write_lines(path, facts)

    comparison = compare_folders(tmp_path)

    assert "Types_beta is 0.0, 1.0" in find_checks(comparison, "object types")[0].text
    assert find_checks(comparison, "matching")[0].state == "note"
    assert "repeat a seed count once" in find_checks(comparison, "repeated seeds")[0].text
    assert find_checks(comparison, "seeds")[0].state == "passed"


def test_k_means_of_the_same_size_stands_beside_a_quantiser(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.060, 0.062, 0.064], phase1__latent_space__codebook_size=512)
    write_group(tmp_path, "b", [0.1, 0.2, 0.3], **LINEAR)
    references = (Reference("kmeans", 9.0, 0.031), Reference("kmeans", 12.0, math.nan, "not fitted"))

    comparison = compare_folders(tmp_path)

    (note,) = check_references(comparison, references)
    assert (note.state, note.text) == ("note", "rec_mse over k-means with as many codes: vq 2.")
    assert check_references(comparison, references[1:]) == ()
