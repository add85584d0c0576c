"""Time alternatives against each other in interleaved rounds, and print the ratios: shared by all benchmarks."""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

NAME_WIDTH = 34


class Timing(NamedTuple):
    """Medians over the rounds: seconds of both sides, and the ratio reference / ours within a round."""

    reference_s: float
    ours_s: float
    ratio: float


class Row(NamedTuple):
    """One line of a table; a `required` of None is for information.

    Args:
        name: What was timed.
        timing: How long both sides took.
        ratio: The number that counts.
        required: Its least value, or its greatest one where `is_at_most`.
        is_at_most: Whether a smaller ratio is better.
    """

    name: str
    timing: Timing
    ratio: float
    required: float | None = None
    is_at_most: bool = False

    @property
    def is_good(self) -> bool:
        if self.required is None:
            return True
        return self.ratio <= self.required if self.is_at_most else self.ratio >= self.required


def parse_quick(description: str | None) -> bool:
    """Return whether the command line asks for one small round without thresholds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one small round, no thresholds")
    return bool(parser.parse_args().quick)


def time_once(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_steps(step: Callable[[], object], n_steps: int) -> float:
    """Return the seconds per step of `n_steps` steps."""
    start = time.perf_counter()
    for _ in range(n_steps):
        step()
    return (time.perf_counter() - start) / n_steps


def run_rounds(clocks: Sequence[Callable[[], float]], n_rounds: int) -> list[tuple[float, ...]]:
    """Return what the clocks give in each round; they run in turn, in alternating order.

    Whatever else the machine does then hits all of them, and ratios are taken within a round.
    """
    rounds: list[tuple[float, ...]] = []
    for number in range(n_rounds):
        order = range(len(clocks)) if number % 2 == 0 else reversed(range(len(clocks)))
        times = {which: clocks[which]() for which in order}
        rounds.append(tuple(times[which] for which in range(len(clocks))))
    return rounds


def summarise_rounds(rounds: Sequence[tuple[float, ...]], reference: int = 0, ours: int = 1) -> Timing:
    """Return the medians of two of the columns, and the median of their ratio."""
    ratios = [times[reference] / times[ours] for times in rounds]
    medians = [statistics.median(times[which] for times in rounds) for which in (reference, ours)]
    return Timing(*medians, statistics.median(ratios))


def print_header(reference: str, ours: str) -> None:
    """Print the head of the table; both names say what was timed."""
    print(f"{'':<{NAME_WIDTH}} {reference:>12} {ours:>12} {'ratio':>7} {'required':>9}")


def print_row(row: Row) -> None:
    """Print one line of the table."""
    required = "" if row.required is None else f"{'<=' if row.is_at_most else '>='} {row.required:.2f}"
    times = f"{row.timing.reference_s * 1e3:9.2f} ms {row.timing.ours_s * 1e3:9.2f} ms"
    print(f"{row.name:<{NAME_WIDTH}} {times} {row.ratio:7.2f} {required:>9}", flush=True)


def judge(rows: Sequence[Row], *, is_quick: bool) -> int:
    """Return the exit code: 1 when a number is not what is required, unless this is a quick run."""
    bad = [row.name for row in rows if not row.is_good]
    if bad and not is_quick:
        print(f"not reached: {', '.join(bad)}")
    return 1 if bad and not is_quick else 0
