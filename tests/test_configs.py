"""Every yaml in configs/ parses, explains its keys and composes into a configuration that a loop accepts."""

import re
from pathlib import Path

import pytest
import yaml

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
COMPONENTS = [name for name in FILES if name.startswith("phase1/") and not name.startswith("phase1/experiment/")]
NOT_GROUPS = ("train.yaml", "report/")
"""What is no option of a group of thesis-train."""

TABLE_CONFIGS = ("loop/test_mlp.yaml", "general/trainer/test_mlp.yaml")
"""What only the loop `test_mlp` composes."""
DIFFUSION_CONFIGS = ("loop/diffusion_ae.yaml", "phase1/decoder/diffusion.yaml", "phase1/trainer/diffusion.yaml")
"""What only the loop `diffusion_ae` takes."""

KEY_WITH_VALUE = re.compile(r"^\s*(?P<key>[\w/]+):\s*[^\s#]")
SELF_EXPLAINING = ("name", "defaults")


def list_lines_without_comment(text: str) -> list[str]:
    """Return the lines that give a key its value but say nothing of unit or allowed values."""
    lines = [
        line for line in text.splitlines() if (match := KEY_WITH_VALUE.match(line)) and is_to_explain(match["key"])
    ]
    return [line for line in lines if not re.search(r"\s# \S", line)]


def is_to_explain(key: str) -> bool:
    return key not in SELF_EXPLAINING


def choose_option(name: str) -> str:
    """Return the override that chooses a file of configs/ in its group."""
    group, _, option = name.removesuffix(".yaml").rpartition("/")
    return f"{group}={option}"


@pytest.mark.parametrize("name", FILES)
def test_config_is_yaml_and_says_what_each_key_means(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")

    yaml.safe_load(text)
    assert list_lines_without_comment(text) == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_component_config_starts_with_its_name(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")

    assert text.startswith(f"name: {Path(name).stem}\n")


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(NOT_GROUPS)])
def test_config_composes_and_parses(name: str, compose_cfg) -> None:
    from thesis_ml.training_loops.diffusion_autoencoder import parse_diffusion
    from thesis_ml.training_loops.experiment import parse_experiment
    from thesis_ml.training_loops.table_experiment import parse_table_experiment

    is_of_tables = name in TABLE_CONFIGS
    parse = parse_table_experiment if is_of_tables else parse_experiment
    loop = ["loop=test_mlp"] if is_of_tables and name != "loop/test_mlp.yaml" else []
    if name in DIFFUSION_CONFIGS:
        parse, loop = parse_diffusion, ["loop=diffusion_ae"] * (name != "loop/diffusion_ae.yaml")

    config = parse(compose_cfg(*loop, choose_option(name)))

    assert config.trainer.epochs >= 1


def test_default_config_composes_and_parses(compose_cfg) -> None:
    from thesis_ml.training_loops.experiment import parse_experiment

    assert parse_experiment(compose_cfg()).phase1.latent_space.name == "vq"


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("epochs: 10", True),
        ("  dpi: 150", True),
        ("epochs: 10 # passes over the training split", False),
        ("name: vq", False),
        ("datasets:", False),
        ("  - env: local", False),
    ],
)
def test_comment_check_knows_right_from_wrong(line: str, is_found: bool) -> None:
    assert bool(list_lines_without_comment(line)) == is_found
