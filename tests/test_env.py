"""Where data and outputs are: relative to where the user stands, on the cluster, or where a variable says."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from thesis_ml.config import parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.utils.environment import EnvConfig, check_user

VARIABLES = ("THESIS_DATA_ROOT", "THESIS_OUTPUT_ROOT", "THESIS_CLUSTER_USER")
CLUSTER = "/data/atlas/users"

Compose = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_local_folders_are_relative_to_where_the_user_stands(compose_cfg: Compose) -> None:
    cfg = compose_cfg("data=h5_tokens")

    assert (cfg.env.data_root, cfg.env.output_root) == ("Data", "outputs")
    assert cfg.data.path == "Data/4tops_splitted.h5"


def test_stoomboot_folders_are_those_of_its_user(compose_cfg: Compose) -> None:
    cfg = compose_cfg("env=stoomboot", "data=h5_tokens")

    assert cfg.env.output_root == f"{CLUSTER}/nterlind/outputs"
    assert cfg.data.path == f"{CLUSTER}/nterlind/datasets/4tops_splitted.h5"


def test_cluster_user_replaces_the_user_name(compose_cfg: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESIS_CLUSTER_USER", "someone")

    env = compose_cfg("env=stoomboot").env

    assert (env.data_root, env.output_root) == (f"{CLUSTER}/someone/datasets", f"{CLUSTER}/someone/outputs")


@pytest.mark.parametrize("name", ["local", "stoomboot"])
def test_variables_override_the_folders_of_every_environment(
    name: str, compose_cfg: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("THESIS_DATA_ROOT", str(tmp_path / "my data"))
    monkeypatch.setenv("THESIS_OUTPUT_ROOT", str(tmp_path / "my outputs"))

    cfg = compose_cfg(f"env={name}", "data=h5_tokens")

    assert cfg.env.output_root == str(tmp_path / "my outputs")
    assert cfg.data.path == str(tmp_path / "my data/4tops_splitted.h5")


@pytest.fixture
def login_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def login(name: str) -> None:
        for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.setenv(variable, name)

    return login


def check(cfg: DictConfig) -> None:
    env = OmegaConf.to_container(cfg.env, resolve=True)
    check_user(parse_config(EnvConfig, env, "env"), OmegaConf.to_container(cfg.env, resolve=False))


def test_folder_of_somebody_else_is_refused(compose_cfg: Compose, login_as: Callable[[str], None]) -> None:
    login_as("somebody")

    with pytest.raises(ConfigError, match=r"^env\.user: .*/nterlind/outputs.* 'somebody'.*set THESIS_CLUSTER_USER"):
        check(compose_cfg("env=stoomboot"))


@pytest.mark.parametrize(
    ("variable", "overrides"),
    [
        (VARIABLES[1], ["env=stoomboot"]),
        (VARIABLES[2], ["env=stoomboot"]),
        (None, ["env=stoomboot", "env.user=nterlind"]),
        (None, ["env=stoomboot", "env.output_root=here"]),
        (None, ["env=local"]),
    ],
)
def test_folder_that_was_chosen_is_taken(
    variable: str | None,
    overrides: list[str],
    compose_cfg: Compose,
    login_as: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login_as("somebody")
    if variable is not None:
        monkeypatch.setenv(variable, "someone")

    check(compose_cfg(*overrides))


def test_default_user_needs_no_variable(compose_cfg: Compose, login_as: Callable[[str], None]) -> None:
    login_as("nterlind")

    check(compose_cfg("env=stoomboot"))


def test_login_name_that_is_not_known_is_a_warning(
    compose_cfg: Compose,
    login_as: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    login_as("")
    monkeypatch.setitem(sys.modules, "pwd", None)

    check(compose_cfg("env=stoomboot"))

    assert "the login name is not known" in caplog.text
