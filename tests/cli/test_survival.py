"""A run that is killed at any moment, stopped, or left without disk goes on to the numbers of an undisturbed one."""

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from command_process import FAULTS, Command, Fault, wait_until
from thesis_ml.facts.readers import read_events, read_result, read_scalars, read_state
from thesis_ml.utils.checkpoints import load_checkpoint

N_EPOCHS = 4

SMALL = (
    "data.limit_events=2000",
    "phase1.trainer.batch_size=16",
    f"phase1.trainer.epochs={N_EPOCHS}",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "phase1.trainer.checkpoint_every_s=0.05",
    "logging.make_plots=false",
)
"""A run of about two seconds that saves many times within each of its epochs of 125 batches."""

FAULT_POINTS = (
    Fault("in a batch"),
    Fault("in a batch", after=200),
    *(Fault(name, after=1) for name in FAULTS if name.startswith("be") or "temporary" in name),
    *(Fault(name) for name in FAULTS if "before" in name and name.startswith("after")),
)

REVIVAL = (*SMALL, "phase1.latent_space.codebook_size=64", "phase1.latent_space.revive_below=0.5")
TABLE = (
    "loop=test_mlp",
    "general.table.n_train=8000",
    "general.trainer.batch_size=16",
    f"general.trainer.epochs={N_EPOCHS}",
    "general.trainer.checkpoint_every_s=0.05",
    "logging.make_plots=false",
)
CASES = {
    "vq with revival": REVIVAL,
    "vq, 2 threads, accumulated, averaged": (
        *REVIVAL,
        "phase1.trainer.n_threads=2",
        "phase1.trainer.accumulate=3",
        "phase1.trainer.average_decay=0.999",
    ),
    "linear with dropout, constant rate": (
        *SMALL,
        "phase1/latent_space=linear",
        "phase1.encoder.dropout=0.2",
        "phase1.trainer.schedule=constant",
        "phase1.trainer.early_stopping=3",
    ),
    "kl with noise and warm-up, early stopping": (
        *SMALL,
        "phase1/latent_space=kl",
        "phase1.latent_space.beta=1e-2",
        "phase1.latent_space.beta_warmup_epochs=1.5",
        "phase1.trainer.early_stopping=3",
    ),
    "rvq with revival, accumulated": (
        *SMALL,
        "phase1/latent_space=rvq",
        "phase1.latent_space.codebook_size=32",
        "phase1.latent_space.revive_below=0.5",
        "phase1.trainer.accumulate=3",
    ),
    "gan with gradient penalty, averaged": (
        *SMALL,
        "loop=gan_ae",
        "phase1.critic.hidden=[16]",
        "phase1.trainer.adversarial_loss=wgan_gp",
        "phase1.trainer.adversarial_start=0",
        "phase1.trainer.critic_steps=2",
        "phase1.trainer.average_decay=0.999",
    ),
    "gan with hinge, revival, dropout, accumulated": (
        *REVIVAL,
        "loop=gan_ae",
        "phase1.critic.hidden=[16]",
        "phase1.encoder.dropout=0.2",
        "phase1.trainer.adversarial_start=0",
        "phase1.trainer.accumulate=3",
    ),
    "diffusion, averaged, accumulated": (
        *REVIVAL,
        "loop=diffusion_ae",
        "phase1.decoder.denoiser_hidden=[16]",
        "phase1.decoder.sampler=ancestral",
        "phase1.decoder.n_steps=2",
        "phase1.trainer.accumulate=3",
        "phase1.trainer.sample_every=1",
    ),
    "table of two classes, averaged": (*TABLE, "task=binary", "general.trainer.average_decay=0.999"),
    "table with dropout, 2 threads, accumulated": (
        *TABLE,
        "general.model.dropout=0.2",
        "general.trainer.n_threads=2",
        "general.trainer.accumulate=3",
    ),
}
"""Runs of every loop that between them have all that a run may have to remember."""

N_RANDOM_KILLS = {"ae": 8, "gan_ae": 10, "diffusion_ae": 20, "test_mlp": 10}
"""Per case, so that every loop is killed at least 20 times in all."""


def find_loop(case: str) -> str:
    """Return the loop of a case."""
    chosen = [key.removeprefix("loop=") for key in CASES[case] if key.startswith("loop=")]
    return chosen[0] if chosen else "ae"


TIMES = ("epoch_time_s", "throughput", "max_memory_mib")
"""Columns that no two runs share."""


def read_numbers(run: Path) -> tuple[bytes, dict[str, torch.Tensor]]:
    """Return the rows of a run without its times, and the tensors of its best weights."""
    table = read_scalars(run / "facts")
    rows = table.drop(columns=[name for name in table if name.removeprefix("metric_") in (*TIMES, "data_wait_s")])
    return rows.to_csv(index=False).encode(), load_checkpoint(run / "best_val.pt")["model"]


def assert_same_numbers(run: Path, reference: Path) -> None:
    """Show that a run that went on equals one that was never disturbed, to the last bit."""
    (rows, weights), (expected_rows, expected) = read_numbers(run), read_numbers(reference)
    assert rows == expected_rows
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    result, expected_result = read_result(run / "facts"), read_result(reference / "facts")
    assert {**(result or {}), "run_dir": ""} == {**(expected_result or {}), "run_dir": ""}
    facts = read_events(run / "facts")
    epochs = [fact["epoch"] for fact in facts if fact["moment"] == "on_epoch_end"]
    assert epochs == list(range(len(epochs)))
    assert len({fact["meta"]["run_id"] for fact in facts}) == 1


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of an undisturbed run of a case, trained once."""
    runs: dict[str, Path] = {}

    def find(case: str) -> Path:
        if case not in runs:
            folder = tmp_path_factory.mktemp("undisturbed")
            start = Command(folder, *CASES[case], "hydra.run.dir=run")
            assert start.wait() == 0, start.read_output()
            runs[case] = folder / "run"
        return runs[case]

    return find


def count_starts(run: Path) -> int:
    """Return how often a run was started or resumed."""
    return sum(fact["moment"] in ("on_start", "on_resume") for fact in read_events(run / "facts"))


def count_epochs(run: Path) -> int:
    """Return how many epochs of a run are recorded."""
    return sum(fact["moment"] == "on_epoch_end" for fact in read_events(run / "facts"))


def read_place(run: Path) -> tuple[int, int]:
    """Return the epoch and the batch that a run was saved at; (0, 0) where nothing is saved yet."""
    path = next((run / name for name in ("last.pt", "last_previous.pt") if (run / name).exists()), None)
    if path is None:
        return 0, 0
    state = load_checkpoint(path)["training"]
    return state["epoch"], state["batch"]


def start(folder: Path, case: str, *arguments: str, **options: object) -> Command:
    return Command(folder, *CASES[case], "hydra.run.dir=run", *arguments, **options)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fault", FAULT_POINTS, ids=lambda fault: f"{fault.name} {fault.after}")
def test_run_killed_at_a_fault_point_ends_with_the_same_numbers(
    fault: Fault, case: str, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    killed = start(tmp_path, case, fault=fault).wait()
    again = start(tmp_path, case)

    assert killed == -signal.SIGKILL
    assert again.wait() == 0, again.read_output()
    assert_same_numbers(tmp_path / "run", undisturbed(case))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_run_killed_at_random_moments_ends_with_the_same_numbers(
    case: str, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    generator = random.Random(case)
    run, reference = tmp_path / "run", undisturbed(case)
    places: list[tuple[int, int]] = []
    n_wanted = N_RANDOM_KILLS[find_loop(case)]
    while len(places) < n_wanted:
        # Equally many in each epoch: what a loop does only after its first one is disturbed too.
        n_before, n_epochs = count_starts(run), N_EPOCHS * len(places) // n_wanted
        delay_s = generator.uniform(0.0, 0.4)
        command = start(tmp_path, case)
        wait_until(lambda n=n_before: count_starts(run) > n)
        wait_until(lambda n=n_epochs, command=command: count_epochs(run) >= n or not command.is_alive())
        time.sleep(delay_s)
        command.send(signal.SIGKILL)
        if command.wait() == 0:
            assert_same_numbers(run, reference)
            shutil.rmtree(run)
            continue
        places.append(read_place(run))
        print(
            f"{case}: killed {delay_s:.3f} s after its start or epoch {n_epochs}, saved at (epoch, batch) {places[-1]}"
        )
    assert {epoch for epoch, _ in places} >= {0, 1, 2}
    last = start(tmp_path, case)

    assert last.wait() == 0, last.read_output()
    assert_same_numbers(tmp_path / "run", reference)


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
def test_sweep_started_again_with_other_values_names_the_job_that_is_another(tmp_path: Path) -> None:
    def run(seeds: str) -> Command:
        return Command(tmp_path, "--multirun", f"phase1.trainer.seed={seeds}", "hydra.sweep.dir=sweep", *REVIVAL)

    first = run("1,2")
    assert first.wait() == 0, first.read_output()
    second = run("1,7")

    assert second.wait() != 0
    assert "001  failed" in second.read_output()
    assert "phase1.trainer.seed is 2 there and 7 here" in second.read_output()


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
