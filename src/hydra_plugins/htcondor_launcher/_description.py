"""The submit description of the jobs of a sweep for HTCondor, also valid for condor_submit."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra_plugins.htcondor_launcher._options import HTCondorConfig
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import LAUNCHER_FOLDER

RESUMABLE = 85
UNUSED_CODE = 222
"""No job leaves with this code; while it is set, a second start appends to the output of the first."""

PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("THESIS_*", "WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI"),
)
"""Variables of the shell that jobs inherit. Keys and passwords are excluded: every user can read a queue."""

DOLLARS = {"$": "$(DOLLAR)", "$$": "$$(DOLLARDOLLAR)"}
"""The macros of HTCondor for literal dollars."""


@dataclass(frozen=True)
class Place:
    """The paths of the files of a batch of jobs in the folder of the sweep, by the number of its first job."""

    folder: Path
    first: int
    attempt: int = 1

    @property
    def stem(self) -> str:
        """What the names of these files begin with."""
        return f"{self.first:03d}" if self.attempt == 1 else f"{self.first:03d}-{self.attempt}"

    @property
    def jobs(self) -> Path:
        return self.folder / LAUNCHER_FOLDER

    @property
    def description(self) -> Path:
        return self.jobs / f"{self.stem}.sub"

    @property
    def lines(self) -> Path:
        return self.jobs / f"{self.stem}.txt"

    @property
    def log(self) -> Path:
        return self.jobs / f"{self.stem}.log"

    def find_output(self, number: int, ending: str = "err") -> Path:
        """Return the file with the output of a job, `out` or `err`."""
        return self.jobs / f"job_{number:03d}.{ending}"


def quote_argument(argument: str) -> str:
    """Return one argument of a job, quoted so that HTCondor reads it back unchanged.

    Raises:
        ConfigError: The argument holds a line break, which is impossible in a submit description.
    """
    if "\n" in argument or "\r" in argument:
        raise ConfigError(f"{argument!r}: holds a line break, which no job of HTCondor can be given; leave it out")
    doubled = argument.replace("'", "''").replace('"', '""')
    # One dollar may begin a macro; two dollars begin a macro that is expanded when the job starts.
    escaped = re.sub(r"\$\$?", lambda match: DOLLARS[match[0]], doubled)
    return f"'{escaped}'"


def write_line(number: int, arguments: Sequence[str]) -> str:
    """Return the line of one job in the list that the description queues from."""
    return f"{number:03d} {' '.join(quote_argument(argument) for argument in arguments)}"


def describe_jobs(place: Place, options: HTCondorConfig) -> str:
    """Return the description of a batch of jobs."""
    jobs = place.jobs
    commands = {
        "universe": "vanilla",
        "executable": sys.executable,
        "arguments": '"$(arguments_of_job)"',
        "initialdir": str(Path.cwd()),
        "should_transfer_files": "NO",
        "getenv": ", ".join([*PASSED_ON, *options.environment]),
        "output": f"{jobs}/job_$(number).out",
        "error": f"{jobs}/job_$(number).err",
        "log": str(place.log),
        "request_cpus": str(options.cpus),
        "request_memory": f"{options.memory_mib} MB",
        "request_disk": f"{options.disk_mib} MB",
        **_describe_gpus(options),
        **_describe_site(options),
        **_describe_policy(options),
        **{key: value for key, value in _list_limits(options).items() if value is not None},
        **options.extra,
    }
    lines = [f"{key} = {value}" for key, value in commands.items()]
    return "\n".join([*lines, f"queue number, arguments_of_job from {place.lines}", ""])


def describe_node(text: str, number: int, arguments: Sequence[str]) -> str:
    """Return the description of a single job, from that of its batch; DAGMan limits the number of jobs itself."""
    kept = [line for line in text.splitlines() if not line.startswith(("queue ", "max_idle ", "max_materialize "))]
    line = " ".join(quote_argument(argument) for argument in arguments)
    return "\n".join([f"number = {number:03d}", f"arguments_of_job = {line}", *kept, "queue", ""])


def describe_report(text: str, arguments: Sequence[str], jobs: Path) -> str:
    """Return the description of the report at the end of a graph."""
    output = {"output": f"{jobs}/report.out", "error": f"{jobs}/report.err"}
    node = describe_node(text, 0, arguments).removesuffix("queue\n")
    return node + "\n".join([*(f"{key} = {value}" for key, value in output.items()), "queue", ""])


def _describe_gpus(options: HTCondorConfig) -> dict[str, str]:
    memory = {"require_gpus": f"GlobalMemoryMb >= {options.gpu_memory_mib}"} if options.gpus else {}
    return {"request_gpus": str(options.gpus), **memory}


def _describe_site(options: HTCondorConfig) -> dict[str, str]:
    site = {"My.UseOS": options.use_os, "My.JobCategory": options.category}
    quoted = {key: f'"{value}"' for key, value in site.items() if value is not None}
    return quoted if options.accounting is None else {**quoted, "accounting_group": options.accounting}


def _describe_policy(options: HTCondorConfig) -> dict[str, str]:
    """Return the commands that restart a job with saved state, and let a failed one leave the queue."""
    return {
        "on_exit_remove": f"(ExitBySignal == True) || (ExitCode != {RESUMABLE})",
        "checkpoint_exit_code": str(UNUSED_CODE),
        "job_max_vacate_time": "120",
        "periodic_hold": f"(JobStatus == 1) && (NumJobStarts > {options.max_starts})",
        "periodic_hold_reason": f'"started more than {options.max_starts} times; something keeps stopping it"',
    }


def _list_limits(options: HTCondorConfig) -> dict[str, str | None]:
    limits = {"max_materialize": options.max_jobs, "max_idle": options.max_idle}
    return {key: None if value is None else str(value) for key, value in limits.items()}
