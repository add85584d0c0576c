"""What thesis-train imports, and when: torch, pandas, matplotlib and scipy cost seconds at every start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SMALL = (
    "data.limit_events=50",
    "phase1/latent_space=none",
    "phase1.trainer.epochs=1",
    "phase1.encoder.enc_hidden=[4]",
    "phase1.decoder.dec_hidden=[4]",
)
COMMANDS = {
    "--help": ["--help"],
    "--cfg job": ["--cfg", "job"],
    "unknown option of a group": ["phase1/latent_space=nonsense"],
    "unknown key": ["phase1.trainer.nonsense=1"],
    "training without figures": [*SMALL, "logging.make_plots=false"],
    "training with figures": [*SMALL],
}
WITHOUT_TORCH = list(COMMANDS)[:4]

# One process runs all commands in turn, so that what an earlier one imports is charged to the later ones too.
SCRIPT = """
import json, os, sys
from thesis_ml.cli.train import main
report = {}
for name, arguments in json.loads(sys.argv[1]).items():
    sys.argv = ["thesis-train", *arguments]
    os.environ.pop("HYDRA_FULL_ERROR", None)  # the command sets it for itself
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    else:
        code = 0
    report[name] = [code, [module for module in ("torch", "pandas", "matplotlib", "scipy") if module in sys.modules]]
print("\\n" + json.dumps(report))
"""


class Outcome(NamedTuple):
    """How a command ended, and which of the heavy packages were loaded by then."""

    exit_code: int
    loaded: list[str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Run all commands in one fresh process."""
    folder: Path = tmp_path_factory.mktemp("imports")
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(COMMANDS)],
        cwd=folder,
        env={**os.environ, "THESIS_OUTPUT_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return {name: Outcome(*values) for name, values in json.loads(process.stdout.splitlines()[-1]).items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "exit_code"), list(zip(WITHOUT_TORCH, (0, 0, 2, 2), strict=True)))
def test_what_hydra_answers_imports_no_heavy_package(outcomes: dict[str, Outcome], name: str, exit_code: int) -> None:
    assert outcomes[name] == Outcome(exit_code, [])


def test_training_without_figures_imports_neither_pandas_nor_matplotlib(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["training without figures"] == Outcome(0, ["torch"])


def test_training_with_figures_imports_matplotlib_but_no_pandas(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["training with figures"] == Outcome(0, ["torch", "matplotlib"])
