"""Every yaml in configs/ parses, explains its keys and composes into a configuration that a loop accepts."""

import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.quick

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))
COMPONENTS = [name for name in FILES if name.startswith("phase1/") and not name.startswith("phase1/experiment/")]
NOT_GROUPS = ("train.yaml", "report/", "convert/")
"""What is no option of a group of thesis-train."""

LOOP_OF = {
    "loop/test_mlp.yaml": "test_mlp",
    "general/trainer/test_mlp.yaml": "test_mlp",
    "loop/gan_ae.yaml": "gan_ae",
    "phase1/trainer/adversarial.yaml": "gan_ae",
    "phase1/critic/deepsets.yaml": "gan_ae",
    "phase1/critic/transformer.yaml": "gan_ae",
    "loop/diffusion_ae.yaml": "diffusion_ae",
    "phase1/decoder/diffusion.yaml": "diffusion_ae",
    "phase1/trainer/diffusion.yaml": "diffusion_ae",
}
"""The loop that reads a file; all others are read by `ae`."""

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


def is_recipe(name: str) -> bool:
    """Say whether a file is a recipe of thesis-data: its keys are explained in `_default.yaml`."""
    return name.startswith("convert/") and Path(name).stem != "_default"


def choose_option(name: str) -> str:
    """Return the override that chooses a file of configs/ in its group."""
    group, _, option = name.removesuffix(".yaml").rpartition("/")
    return f"{group}={option}"


@pytest.mark.parametrize("name", [name for name in FILES if not is_recipe(name)])
def test_config_is_yaml_and_says_what_each_key_means(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")

    yaml.safe_load(text)
    assert list_lines_without_comment(text) == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_component_config_holds_its_name(name: str) -> None:
    text = (CONFIGS / name).read_text(encoding="utf-8")

    assert yaml.safe_load(text)["name"] == Path(name).stem


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(NOT_GROUPS)])
def test_config_composes_and_parses(name: str, compose_cfg) -> None:
    from thesis_ml.training_loops.registry import LOOPS

    loop = LOOP_OF.get(name, "ae")
    choice = [] if name.startswith("loop/") else [choose_option(name)]
    if name == "phase1/latent_space/scalar.yaml":
        choice.append("phase1/encoder=identity")

    config = LOOPS[loop].load().parse(compose_cfg(f"loop={loop}", *choice))

    assert config.trainer.epochs >= 1


def test_default_config_composes_and_parses(compose_cfg) -> None:
    from thesis_ml.training_loops import autoencoder

    assert autoencoder.parse(compose_cfg()).phase1.latent_space.name == "vq"


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
