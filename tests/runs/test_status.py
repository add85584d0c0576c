"""The jobs of a sweep beside its plan, and what is left of it."""

from pathlib import Path

import pytest

from thesis_ml.errors import FactsError
from thesis_ml.runs.plan import SweepPlan, describe_differences, read_plan, write_plan
from thesis_ml.runs.queue import QueuedJob
from thesis_ml.runs.row import RunRow
from thesis_ml.runs.status import count_states, estimate_rest_s, judge_jobs

PLAN = SweepPlan(("a=1,2,3,4", "b=0"), tuple((f"a={n}", "b=0") for n in range(1, 5)))


def make_row(number: int, state: str, **values: object) -> RunRow:
    return RunRow(f"s/{number:03d}", "s", state, **values)  # type: ignore[arg-type]


def test_a_plan_comes_back(tmp_path: Path) -> None:
    plan = SweepPlan(("lr=1e-3,'a b'", "+x={a: 1}"), (("lr=1e-3",), ("lr='a b'",)), "htcondor")
    write_plan(tmp_path / "s", plan)

    assert read_plan(tmp_path / "s") == plan and read_plan(tmp_path) is None


@pytest.mark.parametrize("text", ["[", "jobs: 3", "typed: []\njobs: [[1]]\nlauncher: basic", "typed: []\njobs: []"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(FactsError, match=r"sweep\.yaml: .*remove it to go by the folders of the jobs"):
        read_plan(tmp_path)


def test_an_old_sweep_is_known_by_what_hydra_left(tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text("hydra: {overrides: {task: ['a=1,2']}}\n", encoding="utf-8")
    (tmp_path / "001" / ".hydra").mkdir(parents=True)
    (tmp_path / "001" / ".hydra" / "overrides.yaml").write_text("- a=2\n", encoding="utf-8")

    plan = read_plan(tmp_path)

    assert plan == SweepPlan(("a=1,2",), (("a=1",), ("a=2",)), is_recorded=False)


@pytest.mark.parametrize("swept", ["a=glob(*)", "'a=range(0,1000000000)'", "a=["])
def test_an_old_sweep_of_a_grid_that_cannot_be_known_is_known_by_its_folders(swept: str, tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").write_text(f"hydra: {{overrides: {{task: [{swept}]}}}}\n", encoding="utf-8")
    (tmp_path / "001").mkdir()

    plan = read_plan(tmp_path)

    assert plan is not None and plan.jobs == ((), ())


def test_a_job_that_was_changed_is_shown_as_it_ran() -> None:
    (job, *_) = judge_jobs(PLAN, "s", [make_row(0, "complete", overrides=("a=9",))], {})

    assert job.swept == "a=9"


def test_jobs_that_never_started_count_in_the_time_to_go() -> None:
    running = make_row(1, "running", epochs=1, epochs_asked=4, started=0.0, last=10.0)
    jobs = judge_jobs(PLAN, "s", [running], {})

    assert [job.state for job in jobs] == ["missing", "running", "missing", "missing"]
    assert estimate_rest_s(jobs) == pytest.approx(30.0 + 3 * 40.0)


def test_differences_leave_out_what_all_jobs_share() -> None:
    assert describe_differences([["a=1", "b=1"], ["a=2", "b=1"]]) == ["a=1", "a=2"]


def test_each_job_has_the_state_of_its_run_or_of_the_queue() -> None:
    rows = [make_row(0, "complete"), make_row(2, "failed", reason="nan")]
    queued = {1: QueuedJob("held", "held: no disk", "7.1"), 3: QueuedJob("idle", "", "7.3")}

    jobs = judge_jobs(PLAN, "s", rows, queued)

    assert [job.state for job in jobs] == ["complete", "held", "failed", "idle"]
    assert (jobs[1].reason, jobs[1].queue_id, jobs[2].reason, jobs[0].swept) == ("held: no disk", "7.1", "nan", "a=1")
    assert list(count_states(jobs)) == ["complete", "held", "failed", "idle"]


def test_a_planned_job_without_a_trace_is_missing_and_a_run_beyond_the_plan_is_shown() -> None:
    jobs = judge_jobs(PLAN, "s", [make_row(7, "complete")], {})

    assert [(job.number, job.state) for job in jobs] == [
        (0, "missing"),
        (1, "missing"),
        (2, "missing"),
        (3, "missing"),
        (7, "complete"),
    ]


def test_a_complete_run_is_complete_whatever_the_queue_remembers() -> None:
    (job, *_) = judge_jobs(PLAN, "s", [make_row(0, "complete")], {0: QueuedJob("held", "held: x", "7.0")})

    assert job.state == "complete"


def test_the_rest_follows_from_epochs_and_finished_jobs() -> None:
    rows = [
        make_row(0, "complete", started=0.0, last=100.0),
        make_row(1, "running", started=0.0, last=30.0, epochs=3, epochs_asked=10, silent_after_s=1e12),
    ]
    queued = {2: QueuedJob("idle", "", ""), 3: QueuedJob("idle", "", "")}

    rest = estimate_rest_s(judge_jobs(PLAN, "s", rows, queued))

    assert rest == pytest.approx(70 + 2 * 100) and estimate_rest_s([]) is None


def test_a_clock_that_goes_back_gives_no_negative_time() -> None:
    row = make_row(0, "running", started=100.0, last=40.0, epochs=1, epochs_asked=2, silent_after_s=1e12)

    assert row.duration_s == 0 and estimate_rest_s(judge_jobs(PLAN, "s", [row], {})) is None


def test_a_run_that_runs_and_says_nothing_is_silent() -> None:
    row = make_row(0, "running", started=0.0, last=10.0, silent_after_s=600.0)

    assert row.judge(now=500.0).state == "running" and row.judge(now=700.0).state == "silent"
