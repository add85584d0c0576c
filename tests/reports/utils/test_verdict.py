"""The verdict says which groups differ and which cannot be told apart, and never compares what cannot be compared."""

from pathlib import Path
from typing import Any

import pytest

from thesis_ml.facts.runs import read_run
from thesis_ml.facts.summary import summarise_run
from thesis_ml.reports.comparison import Verdict
from thesis_ml.reports.utils.grouping import find_swept, group_runs
from thesis_ml.reports.utils.verdict import judge
from written_runs import read_lines, write_lines, write_run


def judge_runs(folder: Path) -> Verdict:
    runs = [read_run(path, path.name) for path in sorted(folder.iterdir())]
    swept = find_swept(runs)
    rows = {run.name: summarise_run(run, swept) for run in runs}
    return judge(group_runs(runs, swept, rows), rows)


def write_group(folder: Path, name: str, values: list[float], **config: Any) -> None:
    for seed, value in enumerate(values):
        write_run(folder / f"{name}{seed}", seed=seed, rec_mse=value, **config)


def test_verdict_names_the_factor_and_what_cannot_be_told_apart(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032], phase1__latent_space__codebook_size=512)
    write_group(tmp_path, "b", [0.060, 0.062, 0.064], phase1__latent_space__codebook_size=64)
    write_group(tmp_path, "c", [0.029, 0.032, 0.0325], phase1__latent_space__codebook_size=500)

    verdict = judge_runs(tmp_path)

    assert verdict.column == "rec_mse"
    assert verdict.sentences[0] == "Smallest rec_mse: codebook_size 512, 0.031 (3 seeds, sd 0.001)."
    assert verdict.sentences[1].startswith(
        "codebook_size 512 and codebook_size 500 cannot be told apart in rec_mse (p = "
    )
    assert verdict.sentences[2].startswith("codebook_size 64 has 2x the rec_mse of codebook_size 512 (p = 0.0")
    assert verdict.sentences[2].endswith(", n = 3).")
    assert "2.27 sd" in verdict.sentences[3]
    assert len(verdict.tests) == 3
    assert verdict.banners == ()


def test_collapsed_codebook_is_a_caveat(tmp_path: Path) -> None:
    for name, perplexity in (("a", 2.7), ("b", 300.0)):
        write_run(tmp_path / name, phase1__latent_space__codebook_size=512 if name == "a" else 500)
        facts = read_lines(tmp_path / name)
        facts[-1]["metrics"]["test"]["perplexity"] = perplexity
        write_lines(tmp_path / name, facts)

    text = " ".join(judge_runs(tmp_path).sentences)

    assert "Collapsed codebooks: codebook_size 512 (like 2.7 equally frequent ones of 512)." in text


def test_one_seed_gives_no_verdict(tmp_path: Path) -> None:
    write_run(tmp_path / "a", rec_mse=0.1, phase1__latent_space__codebook_size=8)
    write_run(tmp_path / "b", rec_mse=0.9)

    verdict = judge_runs(tmp_path)

    text = " ".join(verdict.sentences)
    assert "No verdict on codebook_size 8 and codebook_size 512: one seed" in text
    assert "x the rec_mse" not in text
    assert not any(test.is_resolved for test in verdict.tests)


@pytest.mark.parametrize(
    ("config", "column", "part"),
    [
        ({"data__phi": "wrapped"}, "width68_pt", "encoding of phi (cos_sin: 3 runs, wrapped: 3 runs)"),
        ({"data__features": ["pt", "eta", "phi"]}, "width68_pt", "features"),
        ({"data__train_classes": [0]}, "width68_pt", "classes they were trained on"),
        ({"data__limit_events": 100}, None, "limit_events (all: 3 runs, 100: 3 runs)"),
    ],
)
def test_runs_of_different_units_are_compared_in_physical_ones_or_not_at_all(
    config: dict[str, Any], column: str | None, part: str, tmp_path: Path
) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032])
    write_group(tmp_path, "b", [0.060, 0.062, 0.064], **config)

    verdict = judge_runs(tmp_path)

    assert any(part in banner for banner in verdict.banners)
    assert not any("rec_mse" in sentence for sentence in verdict.sentences)
    if column is None:
        assert (verdict.tests, verdict.sentences[0][:11]) == ((), "No verdict:")
    else:
        assert verdict.column == column


def test_runs_on_other_data_are_not_compared(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.030, 0.031, 0.032])
    facts = read_lines()
    facts[0]["meta"]["dataset_fingerprint"] = "another"
    facts[0]["meta"]["run_id"] = facts[-1]["meta"]["run_id"] = "other"
    write_lines(tmp_path / "b", facts)

    verdict = judge_runs(tmp_path)

    assert verdict.tests == ()
    assert "data (fingerprint)" in verdict.banners[0]
    assert "another: 1 run" in verdict.banners[0]


def test_val_loss_never_ranks(tmp_path: Path) -> None:
    for name, size in (("a", 8), ("b", 16)):
        facts = read_lines(write_run(tmp_path / name, phase1__latent_space__codebook_size=size))
        for fact in facts:
            for numbers in fact.get("metrics", {}).values():
                for key in [key for key in numbers if key != "loss"]:
                    del numbers[key]
        write_lines(tmp_path / name, facts)

    verdict = judge_runs(tmp_path)

    assert verdict.sentences[0] == "No verdict: no run records a number to judge by (rec_mse, auroc, mse, bce)."


def test_caveats_name_types_copies_and_matching(tmp_path: Path) -> None:
    write_group(tmp_path, "a", [0.1, 0.2], phase1__decoder__types_beta=0.0)
    write_group(tmp_path, "b", [0.1, 0.2], phase1__latent_space={"name": "linear", "latent_dim": 4})
    for path in tmp_path.glob("b*"):
        facts = read_lines(path)
        facts[0]["matching"] = "event"
        facts[-1]["metrics"]["test"]["type_accuracy"] = 0.5
        write_lines(path, facts)

    text = " ".join(judge_runs(tmp_path).sentences)

    assert "types_beta differs (0.0, 1.0)" in text
    assert "Type accuracy is unequal, 0.5 for linear" in text
    assert "linear has latents as wide as a token" in text
    assert "matching of the event" in text
