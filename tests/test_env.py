"""Where data and outputs are: relative to where the user stands, on the cluster, or where a variable says."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

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
