"""The loops of this package: where each is and which keys of the configuration it reads.

Light to import, so that a wrong key is refused before torch is loaded. A loop of a user's own needs no entry: it stands
in `DISPATCH` (cli/train) alone, and its keys are not checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from omegaconf import DictConfig

AE_LOOP, GAN_LOOP, DIFFUSION_LOOP, TABLE_LOOP = "ae", "gan_ae", "diffusion_ae", "test_mlp"

TOKEN_KEYS = (
    "data",
    "logging",
    "phase1.encoder",
    "phase1.latent_space",
    "phase1.decoder",
    "phase1.loss",
    "phase1.trainer",
)
"""Keys that every loop on particle tokens reads."""


@dataclass(frozen=True)
class Loop:
    """One loop.

    Args:
        name: The value of `loop=`.
        module: Has `train(cfg)`, `parse(cfg)`, which returns its settings, and `run(settings, start)`.
        reads: Keys that it reads; a key stands for all that lies below it.
        reads_by_task: Keys that one of its tasks reads besides.
        own_options: Options that no other loop takes, by group.
    """

    name: str
    module: str
    reads: tuple[str, ...]
    reads_by_task: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def load(self) -> ModuleType:
        """Return its module, which imports torch."""
        return import_module(f"thesis_ml.training_loops.{self.module}")

    def train(self, cfg: DictConfig) -> dict[str, Any]:
        """Train from a composed configuration and return the result."""
        result: dict[str, Any] = self.load().train(cfg)
        return result

    @property
    def all_keys(self) -> tuple[str, ...]:
        """The keys that it reads with any of its tasks."""
        return (*self.reads, *(key for keys in self.reads_by_task.values() for key in keys))

    def list_keys(self, task: object) -> tuple[str, ...]:
        """Return the keys that it reads with the task that the configuration chooses."""
        return (*self.reads, *self.reads_by_task.get(str(task), ()))


LOOPS: Mapping[str, Loop] = {
    loop.name: loop
    for loop in (
        Loop(AE_LOOP, "autoencoder", TOKEN_KEYS),
        Loop(
            GAN_LOOP,
            "gan_autoencoder",
            (*TOKEN_KEYS, "phase1.critic"),
            own_options={"phase1/trainer": ("adversarial",), "phase1/critic": ("deepsets", "transformer")},
        ),
        Loop(
            DIFFUSION_LOOP,
            "diffusion_autoencoder",
            TOKEN_KEYS,
            own_options={"phase1/trainer": ("diffusion",), "phase1/decoder": ("diffusion",)},
        ),
        Loop(
            TABLE_LOOP,
            "simple_mlp",
            ("general.model", "general.trainer", "logging", "task"),
            reads_by_task={
                "regression": ("general.table",),
                "binary": ("general.table",),
                "labels": ("data", "general.events"),
            },
            own_options={"general/trainer": ("test_mlp",)},
        ),
    )
}


def find_owner(group: str, option: str) -> str | None:
    """Return the loop that alone takes an option of a group, None where all do."""
    return next((loop.name for loop in LOOPS.values() if option in loop.own_options.get(group, ())), None)


def find_readers(key: str) -> list[str]:
    """Return the loops that read a key, or a key below it, with each of their tasks."""
    return [
        loop.name
        for loop in LOOPS.values()
        if is_below(key, loop.reads) or any(is_below(read, (key,)) for read in loop.reads)
    ]


def is_below(key: str, parents: tuple[str, ...]) -> bool:
    """Say whether `key` is one of `parents` or lies below one."""
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)
