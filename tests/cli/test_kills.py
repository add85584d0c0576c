"""A run that is killed at any moment goes on to the numbers of an undisturbed one."""

import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from command_process import FAULTS, Fault, wait_until
from resumed_runs import (
    CASES,
    N_EPOCHS,
    assert_same_numbers,
    count_epochs,
    count_starts,
    find_group,
    find_loop,
    read_last,
    read_place,
    start,
)
from thesis_ml.facts.readers import read_events, read_result
from thesis_ml.utils.checkpoints import load_checkpoint

N_BATCHES = {"ae": 125, "gan_ae": 125, "diffusion_ae": 125, "test_mlp": 500}
"""Per epoch."""

N_DRAWN = {"ae": 1, "gan_ae": 2, "diffusion_ae": 4, "test_mlp": 2}
"""Kills at places drawn at random, per case and epoch."""

TIMED_CASES = (
    "vq with revival",
    "gan with hinge, revival, dropout, accumulated",
    "diffusion, averaged, accumulated",
    "table with dropout, 2 threads, accumulated",
)
"""One of each loop, killed at random times too: at moments that no fault names."""

N_TIMED = 5
"""Kills per case at random times."""


class Place(NamedTuple):
    """A place of a training: the gradients of an epoch are applied so many times before it."""

    epoch: int
    n_calls: int


class Link(NamedTuple):
    """One process of a chain, which is killed at a named fault or at a place."""

    moment: Fault | Place
    saves_always: bool = False


def count_calls(case: str) -> int:
    """Return how often an epoch applies gradients; the critic of a GAN has steps of its own."""
    loop = find_loop(case)
    n_critic_steps = 2 if "phase1.trainer.critic_steps=2" in CASES[case] else int(loop == "gan_ae")
    return N_BATCHES[loop] * (1 + n_critic_steps)


def list_links(case: str, best_epoch: int) -> Iterator[Link]:
    """Yield the processes of the chain of a case, those before the last one, in the order of their places."""
    generator, n_calls = random.Random(case), count_calls(case)
    yield Link(Fault("in a batch"))
    for name in ("after the temporary write", "before the rename", "between the renames"):
        yield Link(Fault(name, after=1), saves_always=True)
    for epoch in range(N_EPOCHS):
        # The first batches are those of the links above.
        drawn = generator.sample(range(n_calls // 5, n_calls), N_DRAWN[find_loop(case)])
        yield from (Link(Place(epoch, n)) for n in sorted(drawn))
        if epoch == best_epoch:
            # A process that resumes writes the best weights that it finds in last.pt before it trains; there are none
            # before the first epoch.
            yield from (Link(Fault("between best and last", after=n)) for n in range(1 + (epoch > 0)))
        if epoch in (1, N_EPOCHS - 1):
            yield from (Link(Fault(name)) for name in ("between csv and jsonl", "between facts and checkpoint"))
        if epoch in (0, N_EPOCHS - 1):
            yield Link(Fault("after the checkpoint of an epoch"))
    yield Link(Fault("after the last epoch before test"))
    yield Link(Fault("after the test before its result"))


def find_fault(moment: Fault | Place, case: str, run: Path) -> Fault:
    """Return the fault that kills a process at a moment, given where the run resumes."""
    if isinstance(moment, Fault):
        return moment
    epoch, batch = read_place(run)
    n_calls = count_calls(case)
    n_done = epoch * n_calls + batch * n_calls // N_BATCHES[find_loop(case)]
    return Fault("in a batch", after=moment.epoch * n_calls + moment.n_calls - n_done)


def read_best_epochs(run: Path) -> tuple[int, int]:
    """Return the epoch of the best weights in best_val.pt, and the one that last.pt needs there; -1 for none."""
    there = load_checkpoint(run / "best_val.pt")["epoch"] if (run / "best_val.pt").exists() else -1
    best = read_last(run).get("best")
    return there, -1 if best is None else best["epoch"]


def read_warnings(run: Path) -> set[str]:
    """Return the warnings of a run, but for the one of a process that was killed between the two renames."""
    texts = [fact["text"] for fact in read_events(run / "facts") if fact["moment"] == "on_warning"]
    return {text for text in texts if "last.pt: no such checkpoint" not in text}


def test_chain_kills_every_loop_at_every_fault_and_often() -> None:
    faults = {link.moment.name for link in list_links("vq with revival", 3) if isinstance(link.moment, Fault)}
    n_kills = dict.fromkeys(N_BATCHES, 0)
    for case in CASES:
        n_kills[find_loop(case)] += N_DRAWN[find_loop(case)] * N_EPOCHS + N_TIMED * (case in TIMED_CASES)

    assert faults == set(FAULTS)
    assert {find_loop(case) for case in TIMED_CASES} == set(N_BATCHES)
    assert min(n_kills.values()) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_run_killed_again_and_again_ends_with_the_same_numbers(
    case: str, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    run, reference = tmp_path / "run", undisturbed(case)
    result = read_result(reference / "facts")
    assert result is not None
    often = f"{find_group(case)}.trainer.checkpoint_every_s=1e-9"
    before = (0, 0)
    for moment, saves_always in list_links(case, result["best_epoch"]):
        command = start(tmp_path, case, *([often] * saves_always), fault=find_fault(moment, case, run))

        assert command.wait() == -signal.SIGKILL, f"{moment} is not reached: {command.read_output()[-1000:]}"
        place = read_place(run)
        assert place >= before, f"{moment}: nothing that was saved is lost"
        assert not isinstance(moment, Place) or place[0] == moment.epoch
        best, needed = read_best_epochs(run)
        assert best >= needed, f"{moment}: best_val.pt is older than last.pt"
        before = place
    last = start(tmp_path, case)

    assert last.wait() == 0, last.read_output()
    assert_same_numbers(run, reference)
    assert read_warnings(run) == read_warnings(reference)


@pytest.mark.slow
@pytest.mark.parametrize("case", TIMED_CASES)
def test_run_killed_at_random_times_ends_with_the_same_numbers(
    case: str, tmp_path: Path, undisturbed: Callable[[str], Path]
) -> None:
    generator = random.Random(case)
    run, reference = tmp_path / "run", undisturbed(case)
    n_killed = 0
    while n_killed < N_TIMED:
        # Spread over the epochs: what a loop does only after its first one is disturbed too.
        n_before, n_epochs = count_starts(run), N_EPOCHS * n_killed // N_TIMED
        command = start(tmp_path, case)
        wait_until(lambda n=n_before, command=command: count_starts(run) > n or not command.is_alive())
        wait_until(lambda n=n_epochs, command=command: count_epochs(run) >= n or not command.is_alive())
        time.sleep(generator.uniform(0.0, 0.4))
        command.send(signal.SIGKILL)
        if command.wait() == 0:
            assert_same_numbers(run, reference)
            shutil.rmtree(run)
            continue
        n_killed += 1
        print(f"{case}: killed in epoch {n_epochs} or later, saved at (epoch, batch) {read_place(run)}")
    last = start(tmp_path, case)

    assert last.wait() == 0, last.read_output()
    assert_same_numbers(run, reference)
