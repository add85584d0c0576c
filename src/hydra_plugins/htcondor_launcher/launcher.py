"""hydra/launcher=htcondor: its configuration and its class for Hydra.

Every start of a Hydra command imports this module, so that modules needed for launching are imported at the launch.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.htcondor_launcher._options import HTCondorConfig

ConfigStore.instance().store(group="hydra/launcher", name="htcondor", node=HTCondorConfig, provider="thesis_ml")


class HTCondorLauncher(Launcher):
    """Run every job of a sweep as a process of one HTCondor cluster."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store the arguments of Hydra, and refuse options that cannot be launched.

        Raises:
            ConfigError: An option is wrong, or the package htcondor is missing.
        """
        from hydra_plugins.htcondor_launcher import _launch

        _launch.check_options(HTCondorConfig(**self.options), config)
        self.config, self.hydra_context = config, hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit a batch of jobs and return the result of each."""
        from hydra_plugins.htcondor_launcher import _launch

        assert self.config is not None and self.hydra_context is not None
        batch = _launch.Batch(self.config, HTCondorConfig(**self.options), job_overrides, initial_job_idx)
        return _launch.run_batch(batch, self.hydra_context.callbacks)
