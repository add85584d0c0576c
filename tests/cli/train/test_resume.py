"""`resume=<run dir>` stands for what the run was started with; a run that resumes keeps the defaults of its time."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from thesis_ml.cli.train.resume import expand_resume, restore_defaults
from thesis_ml.errors import ConfigError, FactsError


def write_run(folder: Path, overrides: object) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text(yaml.safe_dump(overrides), encoding="utf-8")
    return folder


def test_arguments_without_resume_stay_as_they_are() -> None:
    arguments = ["--multirun", "phase1.trainer.lr=1e-3,1e-4", "name=resume"]

    assert expand_resume(arguments) == arguments
    assert expand_resume([*arguments, "resume=null"]) == [*arguments, "resume=null"]


def test_stored_overrides_come_first_and_those_given_again_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["phase1/latent_space=linear", "phase1.trainer.epochs=5", "+my_key=1"])

    arguments = expand_resume(["phase1.trainer.epochs=9", f"resume={run}", "++my_key=2"])

    assert arguments[:-2] == ["phase1/latent_space=linear", "phase1.trainer.epochs=9", "++my_key=2"]
    assert arguments[-1] == f"hydra.run.dir='{run}'"


@pytest.mark.parametrize("name", ["a b", "c,d", "it's", "[x]", "k=v", "back\\slash", "ends\\", "q\\'x", "\u03bc"])
def test_any_folder_name_reaches_hydra_unchanged(tmp_path: Path, name: str) -> None:
    run = write_run(tmp_path / name, [])

    *_, argument = expand_resume([f"resume={run}"])

    assert OverridesParser.create().parse_override(argument).value() == str(run)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra/launcher=joblib"], "is no override of a run"),
        (["+hydra.launcher._target_=os.system"], "is no override of a run"),
        (["--config-dir=x"], "is no override of a run"),
        (["just words"], "is no override of a run"),
        ({"a": 1}, "is no list of overrides"),
        ([1, 2], "is no list of overrides"),
    ],
)
def test_stored_overrides_that_are_none_are_refused(tmp_path: Path, overrides: object, message: str) -> None:
    run = write_run(tmp_path / "run", overrides)

    with pytest.raises(ConfigError, match=message):
        expand_resume([f"resume={run}"])


@pytest.mark.parametrize("text", ["\x00", "a: [", "!!python/object/apply:os.system ['true']", "x" * 2_000_000])
def test_a_damaged_file_is_one_error_and_nothing_of_it_runs(tmp_path: Path, text: str) -> None:
    run = write_run(tmp_path / "run", [])
    (run / ".hydra/overrides.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"overrides\.yaml: "):
        expand_resume([f"resume={run}"])


@pytest.mark.parametrize("arguments", [["resume=nowhere"], ["-m", "resume=nowhere"]])
def test_resume_needs_one_run(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="resume: "):
        expand_resume(arguments)


TODAY = {
    "data": {"features": ["pt", "eta", "phi", "mass"], "mass": "by_type"},
    "phase1": {"latent_space": {"name": "vq", "ema_decay": 0.99, "ema_fast_start": True}},
}
EARLIER = {"data": {"features": ["E", "pt", "eta", "phi"]}, "phase1": {"latent_space": {"ema_decay": 0.99}}}


def store(folder: Path, config: dict[str, Any]) -> Path:
    """Write the facts of a run that was started with `config`."""
    (folder / "facts").mkdir(parents=True)
    line = {"schema_version": 2, "moment": "on_start", "config": config, "meta": {}}
    (folder / "facts" / "events.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    return folder


def restore(folder: Path, config: dict[str, Any], *typed: str) -> Any:
    return OmegaConf.to_container(restore_defaults(OmegaConf.create(config), folder, typed))


def test_a_new_run_has_the_defaults_of_today(tmp_path: Path) -> None:
    assert restore(tmp_path, TODAY) == TODAY


def test_a_run_from_before_has_the_defaults_of_its_time(tmp_path: Path) -> None:
    found = restore(store(tmp_path, EARLIER), TODAY)

    assert found["data"] == {"features": ["E", "pt", "eta", "phi"], "mass": "linear"}
    assert found["phase1"]["latent_space"]["ema_fast_start"] is False


def test_a_run_of_today_stays_as_it_is(tmp_path: Path) -> None:
    assert restore(store(tmp_path, TODAY), TODAY) == TODAY


def test_a_key_that_no_file_sets_any_more_is_restored_too(tmp_path: Path) -> None:
    own = {"data": {"features": ["pt"]}, "phase1": {"latent_space": {"name": "vq", "ema_decay": 0.99}}}

    found = restore(store(tmp_path, EARLIER), own)

    assert found["phase1"]["latent_space"]["ema_fast_start"] is False
    assert found["data"] == {"features": ["pt"], "mass": "linear"}


def test_other_components_get_no_key_of_a_codebook(tmp_path: Path) -> None:
    own = {**TODAY, "phase1": {"latent_space": {"name": "fsq"}}}

    assert restore(store(tmp_path, EARLIER), own)["phase1"] == own["phase1"]


def test_a_typed_key_is_left_as_it_is(tmp_path: Path) -> None:
    found = restore(store(tmp_path, EARLIER), TODAY, "data.features", "phase1.latent_space.ema_fast_start")

    assert found["data"]["features"] == TODAY["data"]["features"]
    assert found["phase1"] == TODAY["phase1"]


def test_facts_that_hold_a_reference_are_refused(tmp_path: Path) -> None:
    stored = {**EARLIER, "data": {"features": "${oc.env:HOME}"}}

    with pytest.raises(FactsError, match=r"data\.features is '\$\{oc\.env:HOME\}', which no run has"):
        restore(store(tmp_path, stored), TODAY)
