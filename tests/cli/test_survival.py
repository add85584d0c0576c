"""A run that is stopped, damaged, or left without disk goes on to the numbers of an undisturbed one."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command_process import Command, Fault, wait_until
from resumed_runs import REVIVAL, SMALL, assert_same_numbers, count_starts, start
from thesis_ml.facts.readers import read_events, read_state
from thesis_ml.utils.checkpoints import load_checkpoint


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 85), (signal.SIGHUP, 85), (signal.SIGINT, 130)])
def test_signal_finishes_the_step_and_saves(
    number: int, code: int, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    case = "vq, 2 threads, accumulated, averaged"
    command = start(tmp_path, case)
    wait_until(lambda: (tmp_path / "run/last.pt").exists() or not command.is_alive())
    command.send(number)

    assert command.wait() == code, command.read_output()
    assert read_state(tmp_path / "run/facts").name == "interrupted"
    assert "Traceback" not in command.read_output()
    moved = tmp_path / "elsewhere" / "run"
    shutil.move(tmp_path / "run", moved)
    again = start(moved.parent, case)
    assert again.wait() == 0, again.read_output()
    assert_same_numbers(moved, undisturbed(case))


@pytest.mark.slow
@pytest.mark.parametrize("place", ["after the temporary write", "between the renames", "between csv and jsonl"])
def test_sigterm_while_files_are_written_lets_them_be_finished(
    place: str, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    case = "vq with revival"
    stopped = start(tmp_path, case, fault=Fault(place, after=1, number=signal.SIGTERM))

    assert stopped.wait() == 85, stopped.read_output()
    assert load_checkpoint(tmp_path / "run/last.pt")["training"]["epoch"] < 4
    again = start(tmp_path, case)
    assert again.wait() == 0, again.read_output()
    assert_same_numbers(tmp_path / "run", undisturbed(case))
    assert not [fact for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_warning"]


@pytest.mark.slow
def test_folder_that_vanishes_ends_the_run_with_one_message(tmp_path: Path) -> None:
    command = start(tmp_path, "vq with revival", "phase1.trainer.epochs=500")
    wait_until(lambda: (tmp_path / "run/last.pt").exists() or not command.is_alive())

    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    shutil.rmtree(tmp_path / "run", ignore_errors=True)

    assert command.wait() == 1
    assert "Traceback" not in command.read_output()
    assert "cannot be written" in command.read_output()


@pytest.mark.slow
def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    # The kernel's own folder is the one that root cannot write to either.
    refused = Command(tmp_path, *SMALL, "hydra.run.dir=/proc/1/run")

    assert refused.wait() == 2
    assert "/proc/1/run: cannot be used" in refused.read_output()
    assert "Traceback" not in refused.read_output()


@pytest.mark.slow
def test_time_limit_leaves_with_the_code_of_a_job_to_be_started_again(
    tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    case = "vq with revival"
    codes = []
    while len(codes) < 50 and (not codes or codes[-1] == 85):
        limit = ("phase1.trainer.max_time_s=1e-3",) if len(codes) < 4 else ()
        codes.append(start(tmp_path, case, *limit).wait())

    assert codes == [85, 85, 85, 85, 0]
    assert_same_numbers(tmp_path / "run", undisturbed(case))
    reasons = [fact["reason"] for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_interrupt"]
    assert reasons == ["phase1.trainer.max_time_s"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "flipped", "random", "missing", "both"])
def test_damaged_checkpoint_falls_back_with_a_warning(
    damage: str, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    case = "vq with revival"
    start(tmp_path, case, fault=Fault("between facts and checkpoint", 2)).wait()
    for name in ("last.pt", "last_previous.pt")[: 2 if damage == "both" else 1]:
        path = tmp_path / "run" / name
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        spoilt = {"cut": bytes(raw[: len(raw) // 3]), "random": np.random.default_rng(0).bytes(1000)}
        path.write_bytes(spoilt.get(damage, bytes(raw)))
        if damage == "missing":
            path.unlink()

    again = start(tmp_path, case)

    assert again.wait() == 0, again.read_output()
    assert_same_numbers(tmp_path / "run", undisturbed(case))
    warnings = [fact["text"] for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_warning"]
    assert any("last.pt" in warning for warning in warnings)
    assert any(("afresh" if damage == "both" else "last_previous.pt") in warning for warning in warnings)


@pytest.mark.slow
def test_full_disk_ends_with_one_message_and_keeps_what_was_saved(
    tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    case = "vq with revival"
    start(tmp_path, case, fault=Fault("between facts and checkpoint", 1)).wait()
    saved = (tmp_path / "run/last.pt").read_bytes()

    full = start(tmp_path, case, limit_bytes=len(saved) // 2)

    assert full.wait() == 1
    assert "Traceback" not in full.read_output()
    assert "free space or choose another" in full.read_output()
    assert load_checkpoint(tmp_path / "run/last.pt")["training"]["epoch"] >= 1
    assert read_state(tmp_path / "run/facts").name == "failed"
    again = start(tmp_path, case)
    assert again.wait() == 0, again.read_output()
    assert_same_numbers(tmp_path / "run", undisturbed(case))


@pytest.mark.slow
def test_second_start_of_a_live_run_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    first = start(tmp_path, "vq with revival", "phase1.trainer.epochs=200")
    wait_until(lambda: (tmp_path / "run/last.pt").exists() or not first.is_alive())
    (tmp_path / "second").mkdir()
    second = Command(tmp_path / "second", *REVIVAL, "phase1.trainer.epochs=200", f"hydra.run.dir={tmp_path}/run")

    code = second.wait()
    first.send(signal.SIGTERM)

    assert code == 2
    assert "another run is using this folder" in second.read_output()
    assert first.wait() == 85
    overrides = (tmp_path / "run/.hydra/overrides.yaml").read_text(encoding="utf-8")
    assert "epochs=200" in overrides


@pytest.mark.slow
def test_finished_run_is_untouched_and_more_epochs_extend_it(
    tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    shutil.copytree(undisturbed("vq with revival"), tmp_path / "run", symlinks=True)
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file() and path.name != ".lock"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    same = start(tmp_path, "vq with revival").wait()
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    seed = start(tmp_path, "vq with revival", "phase1.trainer.seed=1")
    refused = seed.wait()
    untouched = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
    longer = start(tmp_path, "vq with revival", "phase1.trainer.epochs=6").wait()

    assert (same, refused, longer) == (0, 2, 0)
    assert before == after == untouched
    assert "phase1.trainer.seed is 42 there and 1 here" in seed.read_output()
    facts = read_events(tmp_path / "run/facts")
    assert [fact["epoch"] for fact in facts if fact["moment"] == "on_epoch_end"] == list(range(6))
    assert any("the schedule of 6 epochs" in fact["text"] for fact in facts if fact["moment"] == "on_warning")


@pytest.mark.slow
def test_sweep_that_was_killed_goes_on_job_by_job(tmp_path: Path) -> None:
    sweep = ("--multirun", "hydra.sweep.dir=sweep", "phase1.trainer.seed=0,1,2", *REVIVAL)
    first = Command(tmp_path, *sweep)
    wait_until(lambda: (tmp_path / "sweep/001/last.pt").exists() or not first.is_alive())
    first.send(signal.SIGKILL)
    first.wait()
    done = (tmp_path / "sweep/000/facts/events.jsonl").read_bytes()

    again = Command(tmp_path, *sweep)

    assert again.wait() == 0, again.read_output()
    assert (tmp_path / "sweep/000/facts/events.jsonl").read_bytes() == done
    assert [read_state(tmp_path / f"sweep/00{job}/facts").name for job in range(3)] == ["complete"] * 3
    moments = [json.loads(line)["moment"] for line in (tmp_path / "sweep/001/facts/events.jsonl").open()]
    assert moments.count("on_resume") == 1


@pytest.mark.slow
def test_job_of_an_experiment_is_resumed_by_its_folder(tmp_path: Path) -> None:
    experiment = ("phase1/experiment=compare_latent_spaces", "hydra=experiment", "hydra.sweep.dir=sweep")
    sweep = Command(tmp_path, *SMALL, *experiment)
    wait_until(lambda: (tmp_path / "sweep/001/last.pt").exists() or not sweep.is_alive())
    sweep.send(signal.SIGTERM)
    assert sweep.wait() == 85

    again = Command(tmp_path, "resume=sweep/001")

    assert again.wait() == 0, again.read_output()
    assert read_state(tmp_path / "sweep/001/facts").name == "complete"
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_sweep_started_again_with_other_values_is_refused(tmp_path: Path) -> None:
    def run(seeds: str) -> Command:
        return Command(tmp_path, "--multirun", f"phase1.trainer.seed={seeds}", "hydra.sweep.dir=sweep", *REVIVAL)

    first = run("1,2")
    assert first.wait() == 0, first.read_output()
    second = run("1,7")

    assert second.wait() == 2
    assert "sweep holds another sweep (phase1.trainer.seed=1,2 " in second.read_output()


@pytest.mark.slow
def test_links_in_a_run_folder_are_refused(tmp_path: Path) -> None:
    start(tmp_path, "vq with revival", fault=Fault("between facts and checkpoint", 1)).wait()
    (tmp_path / "victim").write_text("mine", encoding="utf-8")
    (tmp_path / "run/train.log").unlink()
    (tmp_path / "run/train.log").symlink_to(tmp_path / "victim")

    refused = start(tmp_path, "vq with revival")

    assert refused.wait() == 2
    assert "train.log: is a link" in refused.read_output()
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    # One step of seconds, so that there is time for a second signal within it.
    long_step = ("data.limit_events=null", "phase1.trainer.accumulate=100000")
    command = start(tmp_path, "vq with revival", *long_step)
    wait_until(lambda: count_starts(tmp_path / "run") > 0)
    time.sleep(0.5)
    command.send(signal.SIGTERM)
    wait_until(lambda: "a second signal ends at once" in command.read_output())
    command.send(signal.SIGTERM)

    assert command.wait() == 85
    assert "stopped by" not in command.read_output()
    assert read_state(tmp_path / "run/facts").name == "running"
