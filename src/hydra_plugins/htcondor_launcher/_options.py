"""The keys below hydra.launcher of hydra/launcher=htcondor."""

from dataclasses import dataclass, field


@dataclass
class HTCondorConfig:
    """The keys below hydra.launcher.

    Args:
        cpus: Cores per job.
        memory_mib: Memory per job.
        disk_mib: Scratch space per job.
        gpus: GPUs per job.
        gpu_memory_mib: Minimum memory of each GPU.
        category: JobCategory of Stoomboot, which decides how long a job may run; None: not set.
        use_os: UseOS of Stoomboot; None: not set.
        accounting: Accounting group; None: none.
        max_jobs: Maximum number of jobs of the sweep in the queue; None: no limit.
        max_idle: Maximum number of them that wait for a machine; None: no limit.
        max_starts: Maximum number of starts of a job; after more it is held.
        extra: More lines of the description, by command, such as {requirements: ...}.
        environment: Additional variables that jobs inherit from this shell; a star stands for any letters.
        poll_s: Seconds between two checks of the jobs.
        on_stop: Whether Ctrl-C removes the remaining jobs from the queue: remove or leave.
        detach: Return as soon as the jobs are submitted; they keep running without this command.
        report: Configuration of thesis-report that is run when a detached sweep is over; None: none.
        dry_run: Print the description, submit nothing.
    """

    _target_: str = "hydra_plugins.htcondor_launcher.launcher.HTCondorLauncher"
    cpus: int = 1
    memory_mib: int = 4096
    disk_mib: int = 2048
    gpus: int = 0
    gpu_memory_mib: int = 4000
    category: str | None = "short"
    use_os: str | None = "el9"
    accounting: str | None = None
    max_jobs: int | None = None
    max_idle: int | None = 50
    max_starts: int = 20
    extra: dict[str, str] = field(default_factory=dict)
    environment: list[str] = field(default_factory=list)
    poll_s: float = 2.0
    on_stop: str = "remove"
    detach: bool = False
    report: str | None = None
    dry_run: bool = False
