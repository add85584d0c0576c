"""The terminal has room for the first screen of a report: 25 lines of 80 characters."""

import re
from dataclasses import replace

import pytest

from comparisons import make_comparison, summarise_groups
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.contents import Check, Section
from thesis_ml.reports.report import Report, assemble
from thesis_ml.reports.runs import build_runs
from thesis_ml.reports.scoreboard import COLUMNS
from thesis_ml.reports.terminal import describe_details, describe_report
from thesis_ml.reports.training import build_training
from thesis_ml.reports.verdict import judge

LONG = "codebook_size 512, latent_dim 32, encoder transformer with a long name"
TERMINAL = ("bits_per_token", "rec_mse", "width68_pt", "jet_mass", "lead", "seeds")


def make_report(n_groups: int = 3, n_failed: int = 0, names: tuple[str, ...] = ()) -> Report:
    comparison = summarise_groups(make_comparison(n_groups, 3, names=names))
    comparison = replace(comparison, verdict=judge(comparison.groups))
    text = "The AUROC of many scores is compatible with nothing that anybody has seen, which is long. " * 3
    checks = tuple(Check(f"check {number}", "failed", text, "runs") for number in range(n_failed))
    labels = [group.label for group in comparison.groups]
    numbers = {
        name: {label: Measured(0.0123456, 0.001) for label in labels} for name in ("jet_mass", "width68_pt", "lead")
    }
    section = Section("closure", "Closure", checks=checks, scores=numbers)
    return assemble(comparison, [build_training(comparison, []), build_runs(comparison), section], None)


@pytest.mark.parametrize("n_groups", [1, 3, 9, 30])
@pytest.mark.parametrize("n_failed", [0, 3, 8])
def test_first_screen_fits(n_groups: int, n_failed: int) -> None:
    names = tuple(f"{LONG} {number}" for number in range(n_groups))

    lines = describe_report(make_report(n_groups, n_failed, names), TERMINAL).splitlines()

    # The path of the report is one more.
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_columns_are_those_asked_for_where_measured() -> None:
    head = describe_report(make_report(), ("bits_per_token", "downstream_loss", "seeds")).splitlines()[1]

    assert head.split() == ["group", "bits/token", "seeds"]


def test_failed_checks_have_a_line_and_passed_ones_share_one() -> None:
    text = describe_report(make_report(n_failed=1), TERMINAL)

    assert "\n✗ check 0: The AUROC" in text
    assert text.splitlines()[-1].startswith("✓ seeds, comparability")


def test_details_have_checks_and_all_tables() -> None:
    text = describe_details(make_report(n_failed=1))

    assert re.search(r"exp_x/030 +failed +TrainingError", text)
    assert "Training: All numbers of the groups" in text
    assert "✓ seeds" in text and "✗ check 0" in text


def test_every_column_has_one_sentence_of_meaning() -> None:
    assert all(column.meaning.endswith(".") for column in COLUMNS.values())
