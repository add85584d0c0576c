"""Keys of the configuration that the command itself reads, and keys that have moved."""

from collections.abc import Mapping

from thesis_ml.training_loops.registry import is_below

COMMAND_KEYS = ("env", "hydra", "loop", "name", "phase1.experiment", "resume")
"""Keys that every loop may be started with."""

MOVED_KEYS: Mapping[str, str] = {
    "phase1.model": "phase1.encoder and phase1.decoder",
    "phase1.tokenizer": "phase1.latent_space",
    "phase1.full_model": "loop, and phase1.encoder, phase1.latent_space and phase1.decoder for its parts",
    "phase1.ae": "phase1.trainer",
    "run_dir": "hydra.run.dir for a run and hydra.sweep.dir for a sweep",
}
"""Keys that no longer exist or are not to be set, and the keys to use instead."""


def describe_moved(key: str) -> str | None:
    """Return where a key that has moved is now, for a message; None for any other key."""
    key = key.replace("/", ".")
    for old, new in MOVED_KEYS.items():
        if is_below(key, (old,)):
            return f"{key}: has moved; use {new} instead"
    return None
