"""Which keys of the configuration each of our loops reads; light to import, so that a wrong key is refused at once."""

from collections.abc import Mapping

AE_LOOP, GAN_LOOP, DIFFUSION_LOOP, TABLE_LOOP = "ae", "gan_ae", "diffusion_ae", "test_mlp"

COMMAND_KEYS = ("env", "hydra", "loop", "name", "phase1.experiment", "resume")
"""What the command itself reads, whatever the loop."""

TOKEN_KEYS = (
    "data",
    "logging",
    "phase1.encoder",
    "phase1.latent_space",
    "phase1.decoder",
    "phase1.loss",
    "phase1.trainer",
)
"""What every loop on particle tokens reads."""

LOOP_KEYS: Mapping[str, tuple[str, ...]] = {
    AE_LOOP: TOKEN_KEYS,
    GAN_LOOP: (*TOKEN_KEYS, "phase1.critic"),
    DIFFUSION_LOOP: TOKEN_KEYS,
    TABLE_LOOP: ("general.model", "general.trainer", "logging", "task"),
}
"""A key stands for all that lies below it. A loop that is not here reads its raw configuration: any key is its own."""

TABLE_KEYS: Mapping[str, tuple[str, ...]] = {
    "regression": ("general.table",),
    "binary": ("general.table",),
    "labels": ("data", "general.events"),
}
"""What each task of the loop `test_mlp` reads beside that."""

LOOPS_OF_TRAINERS: Mapping[str, str] = {"adversarial": GAN_LOOP, "diffusion": DIFFUSION_LOOP}
"""The options of `phase1/trainer` whose keys one loop alone reads."""

LOOPS_OF_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "phase1/trainer": LOOPS_OF_TRAINERS,
    "phase1/decoder": {"diffusion": DIFFUSION_LOOP},
}
"""The loops that alone take an option, by group and option."""

MOVED_KEYS: Mapping[str, str] = {
    "phase1.model": "phase1.encoder and phase1.decoder",
    "phase1.tokenizer": "phase1.latent_space",
    "phase1.full_model": "loop, and phase1.encoder, phase1.latent_space and phase1.decoder for its parts",
    "phase1.ae": "phase1.trainer",
    "run_dir": "hydra.run.dir for a run and hydra.sweep.dir for a sweep",
}
"""Keys that do not exist any more, or are not to be set, and where what they said is said now."""


def list_read_keys(loop: str, task: object) -> tuple[str, ...]:
    """Return what `loop` reads with the `task` that the configuration chooses."""
    return (*LOOP_KEYS[loop], *(TABLE_KEYS.get(str(task), ()) if loop == TABLE_LOOP else ()))


def is_below(key: str, parents: tuple[str, ...]) -> bool:
    """Say whether `key` is one of `parents` or lies below one."""
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


def describe_moved(key: str) -> str | None:
    """Return where a key that has moved is now, for a message; None for any other key."""
    key = key.replace("/", ".")
    for old, new in MOVED_KEYS.items():
        if is_below(key, (old,)):
            return f"{key}: has moved; use {new} instead"
    return None
