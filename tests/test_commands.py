"""Every command that a page shows works as it stands there, in order; so does the Python of FACTS_SYSTEM.md."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from command_process import PRELOADED, Command
from data.convert.files import draw_events, make_nanoaod, write_tree
from guides import PAGES, ROOT, Block, copy_checkout, read_blocks, split_blocks, split_commands

BLOCKS = [block for page in PAGES for block in read_blocks(page)]
SHELL_BLOCKS = [block for block in BLOCKS if block.language == "bash"]
LANGUAGES = {"bash", "python", "yaml", "text"}
"""A block in any other language would be run by no test."""

NOT_RUN = re.compile(r"not run: *(?P<reason>.*)")
EXITS_WITH = re.compile(r"exits with (?P<code>\d+)\b")

ON_THE_POOL = ("HPC_GUIDE.md", "docs/how-to/mend-a-job.md", "docs/how-to/run-the-test-pool.md")
"""The pages that tests/hpc/test_guide.py runs, because their commands need an HTCondor pool."""

NEEDS_INTERPRETER = "hydra/launcher=joblib"
"""Workers of joblib end with the interpreter that started them, and a process forked from a warm one never ends it."""

RUN_BY_CI = {
    "pytest": "would start these very tests again",
    "ruff": "a stage of .ci/run is this very line",
    "mypy": "a stage of .ci/run is this very line",
    "python benchmarks/": "takes minutes; .ci/run runs every file there with --quick",
}
"""What is only compared with .ci/run, and why."""

SHELL_SIGNS = {"&&", "||", "|", ";", "&", ">", ">>", "<"}
ANSWERED_BY_HYDRA = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info"}
LIMIT_S = 120

FEW_EVENTS = "data.limit_events=300"
NO_FIGURES = "logging.make_plots=false"
SMALL_BY_OPTION = {
    ("phase1/encoder", "mlp"): "phase1.encoder.enc_hidden=[16]",
    ("phase1/decoder", "mlp"): "phase1.decoder.dec_hidden=[16]",
}
"""What makes a training small. The first option of a group is its default."""

AUTHORS_BLOCKS = """
```bash
# Simple autoencoder training (local)
thesis-train

# Or using Python module
python -m thesis_ml.cli.train
```

```bash
# Local (default paths)
thesis-train env=local

# Stoomboot
THESIS_OUTPUT_ROOT=outputs thesis-train env=stoomboot
```

```bash
# Quick smoke test (3 epochs, no artifacts)
thesis-train phase1.trainer.epochs=3 logging.save_artifacts=false

# Full training run with plots
thesis-train phase1.trainer.epochs=20 logging=plots_standard

# Experiment sweep (try different latent spaces)
thesis-train --multirun hydra=experiment \\
    phase1/latent_space=none,linear,vq \\
    phase1.trainer.epochs=20
```

```bash
mv outputs/multiruns/exp_*_experiment outputs/multiruns/exp_20251103_experiment
```

```bash
# Compare multiple runs
thesis-report --config-name compare_tokenizers \\
    inputs.sweep_dir=outputs/multiruns/exp_20251103_experiment

# Or using Python module
python -m thesis_ml.cli.reports --config-name compare_tokenizers \\
    inputs.sweep_dir=outputs/multiruns/exp_20251103_experiment
```

```bash
# Generate comparison report from sweep
thesis-report --config-name compare_tokenizers \\
    inputs.sweep_dir=outputs/multiruns/exp_20251103_experiment \\
    inference.enabled=true
```

```bash
# Run all tests
pytest

# Run specific test file
pytest tests/test_phase1_assembly.py

# Smoke test (minimal imports)
pytest tests/test_smoke.py
```
"""
"""What the author of the project types. The outputs of the cluster's paths are sent to where the test stands."""


MODULES = {
    "thesis-train": "thesis_ml.cli.train",
    "thesis-report": "thesis_ml.cli.reports",
    "thesis-data": "thesis_ml.cli.data",
    "thesis-runs": "thesis_ml.cli.runs",
}
"""The module behind each command of ours."""


class Outcome(NamedTuple):
    """How a command ended: its exit code and the end of what it printed."""

    exit_code: int
    output: str


def is_run(block: Block) -> bool:
    return NOT_RUN.match(block.comment) is None


def find_exit_code(block: Block) -> int:
    """Return the exit code that the text says the commands of a block have."""
    said = EXITS_WITH.match(block.comment)
    return int(said["code"]) if said else 0


def run_blocks(blocks: list[Block], folder: Path) -> None:
    """Run the commands of blocks, in order, in a copy of the checkout, because later ones may use what others made."""
    copy_checkout(folder)
    if any("ttbar.root" in block.code for block in blocks):
        write_nanoaod_files(folder)
    for block in filter(is_run, blocks):
        for command in split_commands(block.code):
            outcome = run_command(command, folder)
            assert outcome.exit_code == find_exit_code(block), f"{block.place}: {command}\n{outcome.output}"


def write_nanoaod_files(folder: Path) -> None:
    """Write the NanoAOD files that pages convert, with MET of Run 3 too."""
    for seed, name in enumerate(("ttbar", "ttH")):
        columns = make_nanoaod(draw_events(400, seed))
        met = {f"PuppiMET_{part}": columns[f"MET_{part}"] for part in ("pt", "phi")}
        write_tree(folder / f"{name}.root", {**columns, **met})


def run_command(command: str, folder: Path) -> Outcome:
    """Run one command: ours in a process that is warm already, CI's not at all, all others in bash."""
    variables, words = split_variables(shlex.split(command, comments=True))
    if any(command.startswith(start) for start in RUN_BY_CI):
        gap = find_gap_in_ci(words)
        return Outcome(1 if gap else 0, gap)
    ours = find_module(words)
    if ours is None:
        return run_in_bash(command, folder)
    assert not SHELL_SIGNS & set(words), f"{command}: give a training a line of its own, so that it can be made small"
    module, arguments = ours
    if module == "thesis_ml.cli.train":
        arguments = [*arguments, *list_small_overrides(arguments)]
    if NEEDS_INTERPRETER in arguments:
        return run_in_bash(shlex.join([sys.executable, "-m", module, *arguments]), folder)
    output = folder / "output.txt"
    output.unlink(missing_ok=True)
    process = Command(folder, *arguments, module=module, variables=variables)
    return Outcome(process.wait(), output.read_text(encoding="utf-8")[-3000:])


def run_in_bash(command: str, folder: Path) -> Outcome:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Outcome(done.returncode, (done.stdout + done.stderr)[-3000:])


def split_variables(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split `NAME=value` in front of a command from the command."""
    n_variables = 0
    while n_variables < len(words) and re.match(r"[A-Z_]+=", words[n_variables]):
        n_variables += 1
    return dict(word.split("=", 1) for word in words[:n_variables]), words[n_variables:]


def find_module(words: list[str]) -> tuple[str, list[str]] | None:
    """Return our module that a command runs and its arguments, None for any other command."""
    if words and words[0] in MODULES:
        return MODULES[words[0]], words[1:]
    if words[:2] == ["python", "-m"] and words[2].startswith("thesis_ml."):
        return words[2], words[3:]
    return None


def list_small_overrides(arguments: list[str]) -> list[str]:
    """Return what keeps a training short, of the keys that its components have and the command does not set."""
    if ANSWERED_BY_HYDRA & set(arguments):
        return []
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    loop = given.get("loop", "ae")
    small = [FEW_EVENTS] if loop != "test_mlp" or given.get("task") == "labels" else []
    if arguments and not any("logging" in argument for argument in arguments):
        small.append(NO_FIGURES)  # a plain start shows that figures are drawn, and others what they say of them
    if loop == "ae":
        small += [text for (group, option), text in SMALL_BY_OPTION.items() if given.get(group, option) == option]
    return [text for text in small if text.partition("=")[0] not in given]


def find_gap_in_ci(words: list[str]) -> str:
    """Return what .ci/run does not do of a command of `RUN_BY_CI`, blank when it does it all."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    line = " ".join(words)
    missing = [word for word in words[1:] if "/" in word and not (ROOT / word).exists()]
    if missing:
        return f"{line}: there is no {', '.join(missing)}"
    if words[0] == "pytest":
        return "" if "&& pytest'" in ci else f"{line}: .ci/run has no pytest"
    if words[0] == "python":
        is_quick = words[2:] == ["--quick"] and '"$root"/benchmarks/[!_]*.py' in ci
        return "" if is_quick else f"{line}: .ci/run does not run this; it runs benchmarks with --quick"
    return "" if line in ci.splitlines() else f"{line}: is no line of .ci/run"


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in filter(is_run, SHELL_BLOCKS)}.difference(ON_THE_POOL)))
def test_commands_of_a_page_work(page: str, tmp_path: Path) -> None:
    run_blocks([block for block in SHELL_BLOCKS if block.page == page], tmp_path)


@pytest.mark.slow
def test_commands_of_the_author_work(tmp_path: Path) -> None:
    run_blocks(split_blocks("the author's commands", AUTHORS_BLOCKS), tmp_path)


def test_blocks_are_in_languages_that_a_test_looks_at() -> None:
    assert [block.place for block in BLOCKS if block.language not in LANGUAGES] == []


def test_comment_says_why_a_block_is_not_run() -> None:
    marks = [block for block in SHELL_BLOCKS if block.comment.startswith(("not run", "exits"))]
    wrong = [
        block.place
        for block in marks
        if not EXITS_WITH.match(block.comment)
        and not ((mark := NOT_RUN.match(block.comment)) and len(mark["reason"].split()) > 1)
    ]
    n_comments = sum((ROOT / page).read_text(encoding="utf-8").count("\n<!-- not run") for page in PAGES)

    assert wrong == []
    assert n_comments == sum(not is_run(block) for block in SHELL_BLOCKS), "one of them is not above a shell block"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=lambda b: b.place)
def test_python_block_compiles(block: Block) -> None:
    compile(block.code, block.place, "exec")


def test_python_of_the_facts_system_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [block for block in BLOCKS if (block.page, block.language) == ("FACTS_SYSTEM.md", "python")]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}

    for block in blocks:
        exec(compile(block.code, block.place, "exec"), names)

    assert blocks
    assert [path.name for path in tmp_path.rglob("events.jsonl")] == ["events.jsonl"]


def test_shell_block_is_split_into_commands() -> None:
    code = "# one\na b \\\n    c\n\ncat > x <<'END'\n# kept\nend\nEND\nlast"

    assert split_commands(code) == ["a b c", "cat > x <<'END'\n# kept\nend\nEND", "last"]


def test_blocks_are_read_with_what_stands_before_them() -> None:
    text = "# A\n\n## Part\n\n1. Say `x`:\n\n   ```python\n   x = 1\n   ```\n\n<!-- exits with 2 -->\n```bash\nno\n```"

    first, second = split_blocks("A.md", text)

    assert (first.language, first.section, first.before.strip(), first.code) == (
        "python",
        "Part",
        "1. Say `x`:",
        "x = 1\n",
    )
    assert (second.place, second.code, find_exit_code(second), is_run(second)) == ("A.md:12", "no\n", 2, True)


@pytest.mark.parametrize(
    ("command", "small"),
    [
        ("", [FEW_EVENTS, *SMALL_BY_OPTION.values()]),
        ("data.limit_events=50 phase1/encoder=gnn", [NO_FIGURES, "phase1.decoder.dec_hidden=[16]"]),
        ("phase1/encoder=gnn,mlp logging.dpi=50", [FEW_EVENTS, "phase1.decoder.dec_hidden=[16]"]),
        ("loop=test_mlp task=labels", [FEW_EVENTS, NO_FIGURES]),
        ("loop=diffusion_ae", [FEW_EVENTS, NO_FIGURES]),
        ("loop=test_mlp", [NO_FIGURES]),
        ("--cfg job", []),
    ],
)
def test_small_overrides_fit_the_components(command: str, small: list[str]) -> None:
    assert list_small_overrides(command.split()) == small


@pytest.mark.parametrize(
    ("command", "is_done"),
    [
        ("pytest tests/test_smoke.py", True),
        ("pytest tests/test_nothing.py", False),
        ("ruff check .", True),
        ("ruff check --fix .", False),
        ("python benchmarks/quality.py --quick", True),
        ("python benchmarks/quality.py", False),
    ],
)
def test_what_ci_runs_is_known(command: str, is_done: bool) -> None:
    assert (find_gap_in_ci(command.split()) == "") == is_done


def test_modules_of_the_warm_server_exist() -> None:
    assert [name for name in PRELOADED if find_spec(name) is None] == []


@pytest.mark.parametrize(("command", "code"), [("test -f README.md", 0), ("false | true", 1), ("X=3; exit $X", 3)])
def test_other_commands_run_in_bash(command: str, code: int) -> None:
    assert run_command(command, ROOT).exit_code == code
