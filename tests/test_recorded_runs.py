"""Runs of an earlier version (tests/recorded_runs) are still resumed, extended, reported, tokenised and repeated."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

from command_runs import Outcome, run_commands
from run_results import without_folder
from thesis_ml import load_tokenizer
from thesis_ml.data.tokens import SAMPLE_PATH
from thesis_ml.facts.readers import read_events, read_result

RECORDED = Path(__file__).parent / "recorded_runs"
INTERRUPTED = "ae_vq_interrupted"
COMPLETE = sorted(path.name for path in RECORDED.iterdir() if path.is_dir() and path.name != INTERRUPTED)
EARLIER_DEFAULTS = ("data.features=[E,pt,eta,phi]", "phase1.latent_space.ema_fast_start=false")
"""They give the numbers of a run from before these defaults changed, as CHANGELOG.md says."""
COLLAPSED = ("ae_kl", "ae_linear", "ae_none")
"""Their latents do not matter (rec_mse above 1): recorded with one bit per value, they take none today."""
OTHER_EVENTS = ["test_mlp_binary", "test_mlp_regression"]
DEFAULT = ("ae_vq",)
"""A start of the command takes as long for each of the others, which wait for the slow tests."""
RUNS = pytest.mark.parametrize(
    "name", [*DEFAULT, *(pytest.param(name, marks=pytest.mark.slow) for name in COMPLETE if name not in DEFAULT)]
)
AUTOENCODERS = [name for name in COMPLETE if not name.startswith("test_mlp")]
ROUNDING = {"rel": 1e-4, "abs": 1e-5}
"""Processors add in another order; on the machine that recorded the runs all numbers are equal to the bit."""


FindOutcome = Callable[[str], Outcome]


def read_command(name: str) -> list[str]:
    """Return the overrides that a run was started with."""
    overrides = yaml.safe_load((RECORDED / name / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    return [str(override) for override in overrides]


def key_of_epochs(name: str) -> str:
    return f"{'general' if name.startswith('test_mlp') else 'phase1'}.trainer.epochs"


def list_earlier_defaults(name: str) -> list[str]:
    """Return the keys, of those that the loop reads, whose defaults were other ones when the run was recorded."""
    features, fast_start = EARLIER_DEFAULTS
    if name in ("test_mlp_binary", "test_mlp_regression"):
        return []
    return [features, fast_start] if name in ("ae_vq", "ae_rvq", "gan_ae", "diffusion_ae") else [features]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of all runs: to be started again by name or folder, to be extended, to be reported, and one as a sweep."""
    path = tmp_path_factory.mktemp("recorded")
    for copy in ("again", "extended", "reported", "by_folder"):
        shutil.copytree(RECORDED, path / copy, symlinks=True)
    shutil.copytree(RECORDED / INTERRUPTED, path / "swept" / "000", symlinks=True)
    return path


def list_commands(names: Sequence[str]) -> dict[str, list[str]]:
    """Return what repeats each run, starts it again as it is, and extends it."""
    return {
        **{
            f"repeat {name}": [*read_command(name), *list_earlier_defaults(name), f"hydra.run.dir=repeated/{name}"]
            for name in names
        },
        **{f"again {name}": [f"resume=again/{name}"] for name in names},
        **{f"extend {name}": [f"resume=extended/{name}", f"{key_of_epochs(name)}=3"] for name in names},
    }


@pytest.fixture(scope="module")
def find_outcome(folder: Path) -> FindOutcome:
    """Return the outcome of a command; the commands of the default suite run in one process, all others in another."""
    defaults = {**list_commands(DEFAULT), f"again {INTERRUPTED}": [f"resume=again/{INTERRUPTED}"]}
    command = read_command(INTERRUPTED)
    defaults[f"by_folder {INTERRUPTED}"] = [*command, f"hydra.run.dir=by_folder/{INTERRUPTED}"]
    defaults["swept 000"] = ["--multirun", *command, "hydra.sweep.dir=swept"]
    others = list_commands([name for name in COMPLETE if name not in DEFAULT])
    outcomes: dict[str, Outcome] = {}

    def find(command: str) -> Outcome:
        if command not in outcomes:
            commands = defaults if command in defaults else others
            outcomes.update(zip(commands, run_commands(folder, list(commands.values())), strict=True))
        return outcomes[command]

    return find


@RUNS
def test_the_command_of_a_recorded_run_gives_its_numbers(find_outcome: FindOutcome, folder: Path, name: str) -> None:
    outcome = find_outcome(f"repeat {name}")
    assert outcome.exit_code == 0, outcome

    # Later versions may warn of more.
    recorded, repeated = (
        [fact for fact in read_events(run / "facts") if fact["moment"] != "on_warning"]
        for run in (RECORDED / name, folder / "repeated" / name)
    )

    assert [fact["moment"] for fact in repeated] == [fact["moment"] for fact in recorded]
    for before, now in zip(recorded, repeated, strict=True):
        for split, numbers in before.get("metrics", {}).items():
            kept = {key: value for key, value in numbers.items() if not key.endswith("_s")}
            if name in COLLAPSED and "bits_per_token" in kept:
                kept["bits_per_token"] = 0.0
            assert {key: now["metrics"][split][key] for key in kept} == pytest.approx(kept, **ROUNDING)


@RUNS
def test_a_recorded_run_that_is_finished_stays_as_it_is(find_outcome: FindOutcome, folder: Path, name: str) -> None:
    outcome = find_outcome(f"again {name}")
    assert outcome.exit_code == 0, outcome

    for path in (RECORDED / name).rglob("*"):
        if path.is_file():
            assert (folder / "again" / name / path.relative_to(RECORDED / name)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("way", "name"), [("again", INTERRUPTED), ("by_folder", INTERRUPTED), ("swept", "000")])
def test_a_recorded_run_that_was_interrupted_ends_as_the_one_that_was_not(
    find_outcome: FindOutcome, folder: Path, way: str, name: str
) -> None:
    outcome = find_outcome(f"{way} {name}")
    assert outcome.exit_code == 0, outcome

    resumed = read_result(folder / way / name / "facts")

    assert resumed is not None
    assert without_folder(resumed) == pytest.approx(
        without_folder(read_result(RECORDED / "ae_vq" / "facts")), **ROUNDING
    )


@RUNS
def test_a_recorded_run_is_extended(find_outcome: FindOutcome, folder: Path, name: str) -> None:
    outcome = find_outcome(f"extend {name}")
    assert outcome.exit_code == 0, outcome

    epochs = [fact["epoch"] for fact in read_events(folder / "extended" / name / "facts") if "train_loss" in fact]

    assert epochs[:3] == [0, 1, 2]
    assert "does not fit" not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_recorded_run_tokenises(name: str) -> None:
    tokenizer = load_tokenizer(RECORDED / name)
    events = tokenizer.read_events(SAMPLE_PATH, limit_events=20)

    tokens = tokenizer.encode(events)
    decoded = tokenizer.decode(tokens)

    assert (tokens.codes is None) == (name in ("ae_none", "ae_linear", "ae_kl"))
    assert decoded.n_events == 20
    assert np.isfinite(tokens.latents).all()
    if tokens.codes is not None:
        sequences = tokenizer.read_sequences(tokenizer.to_sequences(tokens))
        assert np.array_equal(sequences.codes, tokens.codes)


@pytest.mark.slow
def test_recorded_runs_are_reported_with_inference(folder: Path) -> None:
    command = ["--config-name", "compare_tokenizers", "inputs.run_dirs=[reported/*]", "inference.enabled=true"]

    few = ["inference.max_samples=100", "inference.corruption_strategies={energy_scale: 1.0}"]

    (outcome,) = run_commands(folder, [[*command, *few]], module="thesis_ml.cli.reports")

    assert outcome.exit_code == 0, outcome
    (manifest,) = folder.glob("**/report_*/manifest.yaml")
    runs = {run["name"]: run for run in yaml.safe_load(manifest.read_text(encoding="utf-8"))["runs"]}
    assert sorted(name for name, run in runs.items() if run["used"]) == sorted({*COMPLETE} - {*OTHER_EVENTS})
    assert all("in the compared runs; choose with inputs.select=[data" in runs[name]["reason"] for name in OTHER_EVENTS)
    assert sorted(name for name, run in runs.items() if "name" in run.get("model", {})) == AUTOENCODERS
    assert runs[INTERRUPTED]["state"] == "interrupted"
