"""Runs that differ in nothing but their seed are a group, whatever else their folders say."""

import math
from pathlib import Path
from typing import Any

import pytest

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.summary import summarise_run
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.utils.grouping import find_swept, group_runs, name_groups
from written_runs import write_run


def read_all(folder: Path, settings: list[dict[str, Any]]) -> list[RunFacts]:
    names = [f"run{number}" for number in range(len(settings))]
    for name, values in zip(names, settings, strict=True):
        write_run(folder / name, **values)
    return [read_run(folder / name, name) for name in names]


def group(runs: list[RunFacts]) -> tuple[Group, ...]:
    swept = find_swept(runs)
    return group_runs(runs, swept, {run.name: summarise_run(run, swept) for run in runs})


@pytest.mark.parametrize(
    ("settings", "swept", "labels"),
    [
        ([{"seed": 0}, {"seed": 1}], (), ["all runs"]),
        (
            [{"phase1__latent_space": {"name": "none", "latent_dim": 3}}, {}],
            ("latent_space",),
            ["none", "vq"],
        ),
        (
            [{"phase1__latent_space": {"name": "none"}}, {}, {"phase1__latent_space__codebook_size": 64}],
            ("latent_space", "phase1.latent_space.codebook_size"),
            ["none", "vq, codebook_size 512", "vq, codebook_size 64"],
        ),
        (
            [{"phase1__encoder__dropout": 0.1}, {"phase1__decoder__dropout": 0.2}],
            ("phase1.encoder.dropout", "phase1.decoder.dropout"),
            [
                "phase1.encoder.dropout 0.1, phase1.decoder.dropout 0",
                "phase1.encoder.dropout 0, phase1.decoder.dropout 0.2",
            ],
        ),
        (
            [{"phase1__trainer__device": "cuda", "phase1__trainer__n_threads": 4, "data__path": "/x"}, {}],
            (),
            ["all runs"],
        ),
        ([{"logging__dpi": 300}, {"logging__tracker": "wandb"}], (), ["all runs"]),
        (
            [{"phase1__encoder__enc_hidden": [8]}, {}],
            ("phase1.encoder.enc_hidden",),
            ["enc_hidden [8]", "enc_hidden [128, 128]"],
        ),
    ],
)
def test_runs_are_grouped_by_what_was_swept(
    settings: list[dict[str, Any]], swept: tuple[str, ...], labels: list[str], tmp_path: Path
) -> None:
    runs = read_all(tmp_path, settings)

    assert find_swept(runs) == swept
    assert [one.label for one in group(runs)] == labels


def test_numbers_are_spread_over_seeds(tmp_path: Path) -> None:
    runs = read_all(tmp_path, [{"seed": seed, "rec_mse": value} for seed, value in ((2, 3.0), (0, 1.0), (1, 2.0))])

    (only,) = group(runs)

    assert (only.numbers["rec_mse"].mean, only.numbers["rec_mse"].sd, only.numbers["rec_mse"].n) == (2.0, 1.0, 3)
    assert [run.seed for run in only.runs] == [0, 1, 2]


def test_what_follows_from_the_loop_is_no_part_of_a_label() -> None:
    plain = {"loop": "ae", "trainer": "ae", "latent_space": "vq"}
    critic = {"loop": "gan_ae", "trainer": "adversarial", "latent_space": "vq"}

    assert name_groups([plain, {**plain, "latent_space": "none"}, critic]) == ["ae, vq", "ae, none", "gan_ae, vq"]
    assert name_groups([plain, {**critic, "latent_space": "none"}]) == ["ae, vq", "gan_ae, none"]
    assert name_groups([plain, {**plain, "trainer": "other"}]) == ["ae, ae, vq", "ae, other, vq"]


def test_seed_that_occurs_twice_counts_once(tmp_path: Path) -> None:
    runs = read_all(tmp_path, [{"seed": 0, "rec_mse": 1.0}, {"seed": 0, "rec_mse": 3.0}, {"seed": 1, "rec_mse": 4.0}])

    (only,) = group(runs)

    assert (only.numbers["rec_mse"].mean, only.numbers["rec_mse"].n) == (3.0, 2)
    assert only.numbers["rec_mse"].sd == pytest.approx(math.sqrt(2))


def test_sweep_of_latent_spaces_that_really_trained_is_grouped_by_them(sweep: Path) -> None:
    runs = [read_run(path, path.name) for path in sorted(sweep.glob("00*"))]

    groups = group(runs)

    assert find_swept(runs) == ("latent_space",)
    assert [(one.label, len(one.runs), one.numbers["rec_mse"].n) for one in groups] == [("linear", 3, 3), ("vq", 3, 3)]
