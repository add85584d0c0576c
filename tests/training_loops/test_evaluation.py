"""With a set loss, numbers that compare tokens use the best matching within each event, and say so."""

from pathlib import Path

import pytest
import torch

from conftest import SMALL
from run_results import without_folder
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.lines import load_history, read_events
from thesis_ml.monitoring.families.recon import MATCHED, draw_recon
from thesis_ml.training_loops.autoencoder import AutoencoderTask, train
from thesis_ml.training_loops.evaluation import match_step
from thesis_ml.training_loops.tally import EpochTally
from thesis_ml.training_loops.task import StepResult
from token_batches import reverse_within_events

CODES = ("phase1.latent_space.codebook_size=16", "phase1.latent_space.latent_dim=4", "phase1.trainer.epochs=2")


def measure_reversed(task: AutoencoderTask, data: TokenData) -> float:
    """Return `rec_mse` of a perfect reconstruction whose tokens stand in the reversed order of each event."""
    tally = EpochTally(task, data.dims)
    for batch in iterate_batches(data.val, 50, generator=None):
        zero = torch.zeros(())
        step = StepResult(zero, {"rec_tokens": zero}, batch.features[reverse_within_events(batch)])
        tally.add(match_step(step, batch, task, data.dims), batch)
    return tally.finish()["rec_mse"]


def test_order_within_an_event_counts_for_a_loss_on_tokens_only(make_task, event_data: TokenData) -> None:
    task = make_task()
    by_tokens = measure_reversed(task, event_data)
    task.matching = "event"

    assert by_tokens > 0.5
    assert measure_reversed(task, event_data) == 0


def test_step_of_a_loss_on_tokens_is_left_as_it_is(make_task, event_data: TokenData) -> None:
    task = make_task()
    batch = next(iterate_batches(event_data.val, 50, generator=None))
    step = task.eval_step(batch)

    assert match_step(step, batch, task, event_data.dims) is step


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "matching"), [("huber", "tokens"), ("chamfer", "event"), ("sinkhorn", "event")])
def test_facts_and_figure_say_what_is_compared(compose_cfg, tmp_path: Path, loss: str, matching: str) -> None:
    (tmp_path / "run").mkdir()
    result = train(compose_cfg(*SMALL, *CODES, f"phase1/loss={loss}", "logging.make_plots=false"))

    (start,) = [fact for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_start"]
    history = load_history(tmp_path / "run/facts")
    figure = draw_recon(history)
    assert result["rec_mse"] > 0
    assert start["matching"] == history.matching == matching
    assert any(text.get_text().startswith(MATCHED) for text in figure.texts) == (matching == "event")


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_run_with_a_set_loss_that_went_on_ends_with_the_same_numbers(compose_cfg, tmp_path: Path) -> None:
    options = (*SMALL, *CODES, "phase1/loss=sinkhorn", "logging.make_plots=false")
    (tmp_path / "run").mkdir()
    whole = train(compose_cfg(*options))
    parts = tmp_path / "parts"
    parts.mkdir()
    train(compose_cfg(*options, "phase1.trainer.schedule=constant", "phase1.trainer.epochs=1", f"run_dir={parts}"))

    again = train(compose_cfg(*options))
    extended = train(compose_cfg(*options, "phase1.trainer.schedule=constant", f"run_dir={parts}"))

    assert without_folder(again) == without_folder(whole)
    assert load_history(parts / "facts").matching == "event"
    assert extended["best_epoch"] == 1
