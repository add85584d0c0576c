"""Small runs of every loop to be killed or stopped, and their comparison with one that was never disturbed."""

from pathlib import Path
from typing import Any

import torch

from command_process import Command
from thesis_ml.facts.readers import read_events, read_result, read_scalars
from thesis_ml.utils.checkpoints import load_checkpoint

N_EPOCHS = 4

SMALL = (
    "data.limit_events=2000",
    "phase1.trainer.batch_size=16",
    f"phase1.trainer.epochs={N_EPOCHS}",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "phase1.trainer.checkpoint_every_s=0.1",
    "logging.make_plots=false",
)
"""A run of about two seconds that saves many times within each of its epochs of 125 batches."""

REVIVAL = (*SMALL, "phase1.latent_space.codebook_size=64", "phase1.latent_space.revive_below=0.5")
TABLE = (
    "loop=test_mlp",
    "general.table.n_train=8000",
    "general.trainer.batch_size=16",
    f"general.trainer.epochs={N_EPOCHS}",
    "general.trainer.checkpoint_every_s=0.1",
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


def find_loop(case: str) -> str:
    """Return the loop of a case."""
    chosen = [key.removeprefix("loop=") for key in CASES[case] if key.startswith("loop=")]
    return chosen[0] if chosen else "ae"


def find_group(case: str) -> str:
    """Return the group whose trainer a case has."""
    return "general" if find_loop(case) == "test_mlp" else "phase1"


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


def count_starts(run: Path) -> int:
    """Return how often a run was started or resumed."""
    return sum(fact["moment"] in ("on_start", "on_resume") for fact in read_events(run / "facts"))


def count_epochs(run: Path) -> int:
    """Return how many epochs of a run are recorded."""
    return sum(fact["moment"] == "on_epoch_end" for fact in read_events(run / "facts"))


def read_last(run: Path) -> dict[str, Any]:
    """Return the newest state that a run saved, an empty one where nothing is saved yet."""
    path = next((run / name for name in ("last.pt", "last_previous.pt") if (run / name).exists()), None)
    return {} if path is None else load_checkpoint(path)["training"]


def read_place(run: Path) -> tuple[int, int]:
    """Return the epoch and the batch that a run was saved at; (0, 0) where nothing is saved yet."""
    state = read_last(run)
    return state.get("epoch", 0), state.get("batch", 0)


def start(folder: Path, case: str, *arguments: str, **options: object) -> Command:
    return Command(folder, *CASES[case], "hydra.run.dir=run", *arguments, **options)
