"""`resume=<run dir>` stands for what the run was started with, then what the user adds."""

from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from thesis_ml.cli.train.resume import expand_resume
from thesis_ml.errors import ConfigError


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
