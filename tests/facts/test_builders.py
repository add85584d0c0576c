"""What a line holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from facts.conftest import MakeEpoch
from thesis_ml.errors import FactsError
from thesis_ml.facts import builders
from thesis_ml.facts.schema import EpochFacts, RunMeta

META = RunMeta(run_id="0123456789abcdef")


def measure_epoch_line(epoch: int, n_terms: int = 10, n_metrics: int = 12) -> int:
    terms = ["rec_tokens", "rec_types", "rec_globals", "commit", "kl", "adversarial", "orthogonal", "mmd", "x", "y"]
    names = terms[:n_terms] + [f"metric_{number:02d}" for number in range(n_metrics)]
    numbers = {name: (number + 1) / 7 for number, name in enumerate(names)}
    facts = EpochFacts(
        epoch=epoch,
        step=100_000 + epoch,
        metrics={"train": {"loss": 1 / 3, **numbers}, "val": {"loss": 1 / 7, **numbers}},
        epoch_time_s=100 / 7,
        total_time_s=100_000 / 7,
        throughput=100_000 / 7,
        max_memory_mib=10_000 / 7,
    )
    line = builders.build_epoch_end(META, facts)
    return len(json.dumps(line, separators=(",", ":")))


def test_epoch_line_has_the_fields_of_the_format(make_epoch: MakeEpoch) -> None:
    line = builders.build_epoch_end(META, make_epoch(0))

    assert list(line) == [
        "schema_version",
        "moment",
        "epoch",
        "step",
        "train_loss",
        "val_loss",
        "metrics",
        "epoch_time_s",
        "total_time_s",
        "throughput",
        "max_memory_mib",
        "meta",
    ]
    assert line["train_loss"] == 1 / 3
    assert line["metrics"]["val"] == {"rec_mse": 0.285714286, "usage": 0.5}
    assert set(line["meta"]) == {"run_id", "timestamp"}


def test_epoch_line_is_short_and_as_long_late_as_early() -> None:
    lengths = {measure_epoch_line(epoch) for epoch in (100, 555, 999)}

    assert len(lengths) == 1
    assert lengths.pop() < 1500


def test_start_line_holds_the_full_meta() -> None:
    line = builders.build_line("on_start", META, {"run_dir": Path("runs") / "a", "config": {"seed": 3}})

    assert line["run_dir"] == str(Path("runs") / "a")
    assert line["config"] == {"seed": 3}
    assert set(line["meta"]) == {
        "run_id",
        "timestamp",
        "git_commit",
        "git_dirty",
        "hostname",
        "pid",
        "cuda_info",
        "versions",
        "seed",
        "n_threads",
        "hydra_job_id",
        "overrides",
        "config_hash",
        "dataset_fingerprint",
    }


def test_exception_line_keeps_only_the_end_of_a_long_traceback() -> None:
    def recurse(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 10_000)
        recurse(depth - 1)

    with pytest.raises(ValueError) as caught:
        recurse(100)
    line = builders.build_exception(META, caught.value)

    assert line["error_type"] == "ValueError"
    assert len(json.dumps(line)) < 10_000


def test_to_json_turns_what_is_not_finite_into_null() -> None:
    values = {"a": float("nan"), "b": [float("inf"), np.float32("-inf")], "c": np.int64(3), "d": Path("x")}

    assert builders.to_json(values) == {"a": None, "b": [None, None], "c": 3, "d": "x"}


def test_to_json_refuses_what_is_no_data() -> None:
    with pytest.raises(FactsError, match="cannot record object"):
        builders.to_json({"a": object()})


def test_hash_config_depends_on_values_and_not_on_their_order() -> None:
    assert builders.hash_config({"a": 1, "b": 2}) == builders.hash_config({"b": 2, "a": 1})
    assert builders.hash_config({"a": 1}) != builders.hash_config({"a": 2})


def test_collect_run_meta_describes_this_process() -> None:
    meta = builders.collect_run_meta({"a": 1})

    assert meta.pid == os.getpid()
    assert meta.versions["numpy"] == np.__version__
    assert meta.run_id != builders.collect_run_meta({"a": 1}).run_id


def test_git_state_is_blank_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert builders.read_git_state() == (None, None)


def test_git_state_reads_commit_and_changes() -> None:
    clean = "# branch.oid 49b9513e148aa645764a07197e058310ec80d1c5\n# branch.head main\n"

    assert builders._parse_git_status(clean) == ("49b9513e148aa645764a07197e058310ec80d1c5", False)
    assert builders._parse_git_status(clean + "1 .M N... src\n")[1] is True
    assert builders._parse_git_status("# branch.oid (initial)\n") == (None, None)


def test_recording_imports_neither_pandas_nor_torch() -> None:
    code = (
        "import sys; from thesis_ml.facts import builders, lines, recorder, schema, writers;"
        "sys.exit(bool({'pandas', 'torch'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
