"""What a folder says of its run is told whatever it holds, and nothing in it can do harm."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from old_runs import write_old_run
from thesis_ml.errors import UnusableRunError
from thesis_ml.facts.lines import load_history
from thesis_ml.facts.runs import flatten_config, read_run
from written_runs import DEFAULT_RUN, read_lines, write_lines, write_run


def test_run_is_read_as_load_history_reads_it() -> None:
    run = read_run(DEFAULT_RUN, "default")

    history = load_history(DEFAULT_RUN / "facts")
    assert run.state.name == "complete"
    assert run.history.names("val") == history.names("val")
    assert all(run.history.series("val", name) == history.series("val", name) for name in history.names("val"))
    assert all(run.history.values(name) == history.values(name) for name in ("epoch_time_s", "total_time_s"))
    assert (run.history.best_epoch, dict(run.history.test)) == (history.best_epoch, dict(history.test))
    assert set(run.history.arrays) == set(history.arrays)


def test_really_trained_run_is_read(finished_run) -> None:
    run = read_run(finished_run.path, "trained")

    assert run.choices == {
        "loop": "ae", "encoder": "mlp", "decoder": "mlp", "latent_space": "vq", "loss": "mse", "trainer": "ae",
        "data": "synthetic",
    }  # fmt: skip
    assert run.result["rec_mse"] == finished_run.result["rec_mse"] == run.history.test["rec_mse"]
    assert (run.seed, run.config["phase1.latent_space.codebook_size"]) == (42, 16)
    assert run.key.features == ("pt", "eta", "phi", "mass")
    assert run.key.dataset_fingerprint == run.sheet["fingerprint"]
    assert len(run.checkpoint_hash or "") == 64
    assert run.remarks == ()


def test_missing_csv_is_remarked_and_the_run_used(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "facts" / "scalars.csv").unlink()

    assert read_run(folder, "run").remarks == ("facts/scalars.csv is missing",)


def test_cut_last_line_is_remarked_and_the_rest_read(tmp_path: Path) -> None:
    folder = write_lines(tmp_path / "run", read_lines()[:4])
    events = folder / "facts" / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-20])

    run = read_run(folder, "run")

    assert (run.history.n_epochs, run.state.name) == (2, "silent")
    assert "the last line of facts/events.jsonl was cut off" in run.remarks


def resume_after(*ends: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the facts of a run that each of these ends stopped after two epochs; an empty one is a kill."""
    facts = read_lines()
    resumed = {**facts[0], "moment": "on_resume", "epoch": 2, "step": 1}
    stops = [fact for end in ends for fact in ([{**facts[2], **end}] if end else []) + [resumed]]
    return [*facts[:3], *stops, *facts[3:]]


@pytest.mark.parametrize(
    ("ends", "remarks"),
    [
        (({},), ("was killed and resumed in epoch 3",)),
        (({}, {}), ("was killed and resumed in epoch 3, 3",)),
        (({"moment": "on_interrupt", "reason": "SIGTERM"},), ("was stopped (SIGTERM) and resumed in epoch 3",)),
        (({"moment": "on_exception", "message": "full"},), ()),
    ],
)
def test_an_earlier_kill_is_remarked(tmp_path: Path, ends: Any, remarks: tuple[str, ...]) -> None:
    assert read_run(write_lines(tmp_path / "run", resume_after(*ends)), "run").remarks == remarks


def test_a_warning_that_was_withdrawn_is_none(tmp_path: Path) -> None:
    facts = read_lines()
    start = {**facts[0], "moment": "on_warning"}
    first, second = {**start, "text": "it can copy"}, {**start, "text": "it collapsed", "withdraws": "it can copy"}

    run = read_run(write_lines(tmp_path / "run", [facts[0], first, *facts[1:-1], second, facts[-1]]), "run")

    assert run.warnings == ("it collapsed",)


def test_losses_that_are_not_finite_are_remarked(tmp_path: Path) -> None:
    facts = read_lines()
    facts[3]["val_loss"] = None

    run = read_run(write_lines(tmp_path / "run", facts), "run")

    assert "the val loss is not finite in 1 epochs, first in epoch 2" in run.remarks


def test_newest_line_of_an_epoch_and_the_newest_start_count(tmp_path: Path) -> None:
    facts = read_lines()
    again = json.loads(json.dumps(facts[1:3]))
    again[0]["val_loss"] = 99.0
    second = json.loads(json.dumps(facts[0]))
    second["config"]["phase1"]["trainer"]["seed"] = 7

    run = read_run(write_lines(tmp_path / "run", [*facts[:3], second, *again, *facts[3:]]), "run")

    assert run.history.epochs == tuple(range(10))
    assert run.history.series("val", "loss")[0] == 99.0
    assert run.seed == 7
    assert any("2 times" in remark for remark in run.remarks)
    assert any("2 epochs are recorded more than once" in remark for remark in run.remarks)


def test_numbers_that_are_no_numbers_are_blank(tmp_path: Path) -> None:
    facts = read_lines()
    facts[1]["metrics"]["val"] |= {"rec_mse": "0.1", "usage": True, "perplexity": 10**400, "rec_tokens": [1]}
    facts[2]["metrics"] = {"val": 3, "train": None}

    history = read_run(write_lines(tmp_path / "run", facts), "run").history

    for name in ("rec_mse", "usage", "perplexity", "rec_tokens"):
        values = history.series("val", name)
        assert values[0] != values[0]
        assert values[1] != values[1]
        assert values[2] == values[2]


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        (b"", "empty", "no fact"),
        (b'{"moment": "hello"}\n', "foreign", "no fact of thesis-ml"),
        (b'{"moment": "on_start", "schema_version": 3}\n', "foreign", "schema_version is 3"),
        (b'{"moment": "on_start", "schema_version": "2"}\n', "foreign", "schema_version"),
        (b"\x00\xff\xfe random\n{}\n", "damaged", "line 1"),
        (b"[1, 2]\n", "damaged", "not a JSON object"),
        (b'{"moment": "on_epoch_end", "schema_version": 2, "epoch": "0"}\n', "damaged", "epoch"),
        (b'{"moment": "on_epoch_end", "schema_version": 2, "epoch": 99999999999999999999}\n', "damaged", "epoch"),
        (b'{"moment": "on_test_end", "schema_version": 2}\n', "damaged", "no epoch"),
        (b'{"moment": "on_start", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "damaged", "nested"),
        (b'{"moment": "on_start", "x": ' + b"9" * 10_000 + b"}\n", "damaged", "digits"),
    ],
)
def test_facts_that_cannot_be_used_are_named(text: bytes, state: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "events.jsonl").write_bytes(text)

    with pytest.raises(UnusableRunError, match=reason) as caught:
        read_run(tmp_path, "run")

    assert caught.value.state == state
    assert str(tmp_path) not in caught.value.reason


@pytest.mark.parametrize(
    ("names", "state"), [((), "empty"), (("facts/",), "empty"), ((".hydra/",), "empty"), (("notes.txt",), "foreign")]
)
def test_folder_without_facts_is_named(names: tuple[str, ...], state: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("", encoding="utf-8")

    with pytest.raises(UnusableRunError) as caught:
        read_run(tmp_path, "run")

    assert caught.value.state == state


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = write_run(tmp_path / "outside")
    (outside / "best_val.pt").write_bytes(b"secret")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "facts").symlink_to(outside / "facts")
    inside = write_run(tmp_path / "inside")
    (inside / "facts" / "arrays.npz").unlink()
    (inside / "facts" / "arrays.npz").symlink_to(outside / "facts" / "arrays.npz")
    (inside / "best_val.pt").symlink_to(outside / "best_val.pt")

    run = read_run(inside, "inside")

    assert (run.history.arrays, run.checkpoint_hash) == ({}, None)
    assert sum("link out of the folder" in remark for remark in run.remarks) == 2
    with pytest.raises(UnusableRunError, match="link"):
        read_run(linked, "linked")


def test_pipe_and_loop_of_links_do_not_block(tmp_path: Path) -> None:
    (tmp_path / "pipe" / "facts").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe" / "facts" / "events.jsonl")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    for name in ("pipe", "loop"):
        with pytest.raises(UnusableRunError):
            read_run(tmp_path / name, name)


def test_damaged_arrays_are_remarked(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "facts" / "arrays.npz").write_bytes(b"PK\x03\x04 nothing")

    run = read_run(folder, "run")

    assert run.history.arrays == {}
    assert any("arrays.npz: damaged" in remark for remark in run.remarks)


def test_run_that_was_moved_and_copied_is_the_same(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    before = read_run(folder, "run")
    folder.rename(tmp_path / "moved")

    after = read_run(tmp_path / "moved", "run")

    assert (after.config, after.key, after.history.test) == (before.config, before.key, before.history.test)


def test_configuration_is_bounded() -> None:
    deep: dict = {"end": 1}
    for _ in range(500):
        deep = {"x": deep}
    wide = {f"key{number}": number for number in range(20_000)}

    assert len(flatten_config({"deep": deep, **wide})) <= 5000
    assert flatten_config({"a": {"b": [1, 2], "c": {}}, "text": "x" * 10_000})["a.b"] == [1, 2]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
KEYS = ("config", "meta", "data", "metrics", "epoch", "val_loss", "matching", "schema_version", "best_epoch", "result")


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 12), st.sampled_from(KEYS), JSON), max_size=6),
    cut=st.integers(0, 4000),
    garbage=st.binary(max_size=30),
)
def test_changed_facts_are_read_or_named(tmp_path: Path, changes: list, cut: int, garbage: bytes) -> None:
    facts = read_lines()
    for number, key, value in changes:
        facts[number % len(facts)][key] = value
    folder = write_lines(tmp_path / "run", facts)
    events = folder / "facts" / "events.jsonl"
    data = events.read_bytes()
    events.write_bytes(data[: len(data) - cut] + garbage)

    try:
        run = read_run(folder, "run")
    except UnusableRunError as error:
        assert error.state in ("damaged", "foreign", "empty")
    else:
        assert run.history.n_epochs <= 10


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(JSON | st.fixed_dictionaries({"moment": st.sampled_from(["on_start", "on_epoch_end"])}), max_size=4)
)
def test_lines_of_anything_are_read_or_named(tmp_path: Path, lines: list) -> None:
    (tmp_path / "facts").mkdir(exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "facts" / "events.jsonl").write_text(text, encoding="utf-8", errors="replace")

    try:
        assert read_run(tmp_path, "run").schema_version in (1, 2)
    except UnusableRunError as error:
        assert error.reason


def test_run_of_schema_1_is_read(tmp_path: Path) -> None:
    run = read_run(write_old_run(tmp_path / "run"), "old")

    assert (run.schema_version, run.state.name, run.seed) == (1, "complete", 1)
    assert run.choices["latent_space"] == "vq"
    assert run.history.series("val", "perplexity") == [40.0, 41.0, 42.0]
    assert run.history.series("val", "rec_globals") == [0.5, 0.5, 0.5]
    assert run.history.series("train", "loss") == [2.0, 1.9, 1.8]
    assert dict(run.history.test)["loss"] == 1.25
    assert all(value != value for value in run.history.series("val", "rec_mse"))
    assert len(run.checkpoint_hash or "") == 64


def test_zeros_of_schema_1_that_stand_for_nothing_are_blank(tmp_path: Path) -> None:
    run = read_run(write_old_run(tmp_path / "run", latent_space="linear", globals_beta=None), "old")

    assert all(value != value for value in run.history.series("val", "perplexity"))
    assert all(value != value for value in run.history.series("val", "rec_globals"))
    assert any("rec_globals" in remark for remark in run.remarks)


def test_run_of_schema_1_without_a_test_is_complete(tmp_path: Path) -> None:
    run = read_run(write_old_run(tmp_path / "run", is_tested=False), "old")

    assert (run.state.name, "was not tested" in run.remarks) == ("complete", True)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch pwned']",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "[" * 5000,
        "x: " + "y" * 2**21,
        "\x00",
        "- just\n- a list",
    ],
)
def test_hostile_yaml_of_schema_1_is_remarked(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_old_run(tmp_path / "run")
    for name in ("config", "hydra", "overrides"):
        (folder / ".hydra" / f"{name}.yaml").write_text(text, encoding="utf-8")

    run = read_run(folder, "old")

    assert run.history.n_epochs == 3
    assert not (tmp_path / "pwned").exists()
    assert text.startswith("- just") or any("cannot be read" in remark for remark in run.remarks)


def test_run_is_named_by_its_folder_or_by_its_facts_as_a_text_or_a_path() -> None:
    runs = [read_run(place) for place in (DEFAULT_RUN, str(DEFAULT_RUN), DEFAULT_RUN / "facts")]

    assert [run.name for run in runs] == ["default_run"] * 3
    assert len({run.path for run in runs}) == 1


def test_run_folder_may_be_called_facts_itself(tmp_path: Path) -> None:
    folder = write_lines(tmp_path / "facts", read_lines())

    assert read_run(folder).path == read_run(folder / "facts").path == folder
