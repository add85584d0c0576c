"""The recipes for new components work when they are followed to the letter, in a copy of the tree."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from guides import ROOT, Block, copy_checkout, read_blocks, split_blocks
from thesis_ml.facts.readers import read_events, read_result

pytestmark = pytest.mark.slow

RECIPES = (
    "docs/how-to/add-an-encoder.md",
    "docs/how-to/add-a-decoder.md",
    "docs/how-to/add-a-bottleneck.md",
    "docs/how-to/add-a-loss.md",
    "docs/how-to/add-a-loop.md",
    "docs/how-to/add-a-metric.md",
    "docs/how-to/add-a-plot-family.md",
)
"""The pages that are followed; tests/reports/test_guide.py follows that of a report."""

DISPATCH_FILE = "cli/train/__init__.py"
NAMED_PATH = re.compile(r"`((?:src|configs)/[\w/.]+\.(?:py|yaml))`")
ADDITION = re.compile(r"[Aa]dd\s`(?P<line>[^`]+)`\sto\s`(?P<owner>\w+)`(?:\sin\s`(?P<file>[\w/.]+)`)?")
IMPORT = re.compile(r"Import\sit\sin\s`(?P<file>[\w/.]+)`")

FEW = ("data.limit_events=300", "phase1.trainer.epochs=1")

AUTHORS_LOOP = """
1. Create `src/thesis_ml/training_loops/my_loop.py`
2. Implement `def train(cfg: DictConfig) -> dict`
3. Register in `src/thesis_ml/cli/train/__init__.py`:
   ```python
   def _my_loop(cfg):
       from thesis_ml.training_loops.my_loop import train as _t
       return _t(cfg)

   DISPATCH = {
       ...,
       "my_loop": _my_loop,
   }
   ```
4. Run: `thesis-train loop=my_loop`
"""
"""The recipe of a loop as the author of the project wrote it."""

RAW_LOOP = '''
"""A loop that reads its raw configuration and uses nothing of the engine."""

from omegaconf import DictConfig


def train(cfg: DictConfig) -> dict:
    assert isinstance(cfg, DictConfig)
    print(f"my_key + 1 is {cfg.my_key + 1}")
    return {"best_monitor": float(cfg.my_key)}
'''


class Addition(NamedTuple):
    """One line that a recipe adds to a dict or a class."""

    line: str
    owner: str
    file: str


class Recipe(NamedTuple):
    """What a page tells to do: files to write, code for files that exist, lines to add."""

    page: str
    written: dict[str, str]
    inserted: dict[str, str]
    added: list[Addition]

    @property
    def module(self) -> str:
        (path,) = [path for path in self.written if path.endswith(".py")]
        return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def read_recipes() -> list[Recipe]:
    """Return the recipes of the pages."""
    return [read_recipe(page) for page in RECIPES]


def read_recipe(page: str) -> Recipe:
    text = (ROOT / page).read_text(encoding="utf-8")
    codes = {path: block.code for block in read_blocks(page) if (path := find_path(block))}
    inserted = {path: code for path, code in codes.items() if path.endswith(DISPATCH_FILE)}
    written = {path: code for path, code in codes.items() if path not in inserted}
    imported = IMPORT.search(text)
    default = imported["file"] if imported else DISPATCH_FILE
    # A line for "the tasks" names no file, so it is added by hand below.
    added = [Addition(found["line"], found["owner"], found["file"] or default) for found in ADDITION.finditer(text)]
    return Recipe(page, written, inserted, [one for one in added if one.owner != "plot_families"])


def find_path(block: Block) -> str:
    """Return the path that the text before a block names last."""
    named = NAMED_PATH.findall(block.before)
    return named[-1] if named else ""


def find_file(copy: Path, end: str) -> Path:
    """Return the one file of the copied package whose path ends as the text names it."""
    (found,) = (copy / "src" / "thesis_ml").glob(f"**/{end}")
    return found


def follow(recipe: Recipe, copy: Path) -> None:
    for path, code in recipe.written.items():
        assert not (copy / path).exists(), f"{recipe.page}: {path} exists already"
        assert (copy / path).parent.is_dir(), f"{recipe.page}: there is no folder for {path}"
        (copy / path).write_text(code, encoding="utf-8")
    for path, code in recipe.inserted.items():
        insert(copy / path, r"^DISPATCH\b", f"{code}\n\n")
    for addition in recipe.added:
        add(recipe, addition, find_file(copy, addition.file))


def add(recipe: Recipe, addition: Addition, file: Path) -> None:
    """Add a line to a dict, with the import that it needs, or a field to a dataclass."""
    if not addition.line.startswith('"'):
        insert(file, rf'(?<=^class {addition.owner}:\n)    """.*?"""\n\n', f"    {addition.line}\n", is_after=True)
        return
    insert(file, rf"(?<=^{addition.owner}\b)[^{{]*?= \{{", f"{addition.line}, ", is_after=True)
    kind = addition.line.split(": ")[1]
    if kind.isidentifier() and not kind.startswith("_"):
        insert(file, r"^from thesis_ml", f"from {recipe.module} import {kind}\n")


def insert(file: Path, pattern: str, text: str, *, is_after: bool = False) -> None:
    """Insert `text` before or after the first place in a file that matches `pattern`."""
    before = file.read_text(encoding="utf-8")
    found = re.search(pattern, before, re.MULTILINE | re.DOTALL)
    assert found, f"{file.name}: nothing matches {pattern}"
    place = found.end() if is_after else found.start()
    file.write_text(before[:place] + text + before[place:], encoding="utf-8")


def run_in_copy(copy: Path, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module or tool of Python that sees the copied package instead of the checkout's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("THESIS_", "HYDRA_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder or copy,
        env={**kept, "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


def train_in_copy(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_in_copy(copy, "thesis_ml.cli.train", *arguments, folder=copy.parent)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which every recipe was followed."""
    copy = tmp_path_factory.mktemp("recipes") / "copy"
    copy.mkdir()
    copy_checkout(copy, "src", "configs", "tests", "pyproject.toml", ".gitignore")
    for recipe in read_recipes():
        follow(recipe, copy)
    insert(copy / "configs/logging/default.yaml", r"^families:.*?\n", "  speed: true # true | false\n", is_after=True)
    insert(find_file(copy, "training_loops/autoencoder.py"), r"plot_families\b[^=]*= \(", '"speed", ', is_after=True)
    return copy


def test_recipes_write_code_and_name_where_it_is_registered() -> None:
    recipes = read_recipes()

    assert all(recipe.module for recipe in recipes)
    owners = {addition.owner for recipe in recipes for addition in recipe.added}
    assert owners == {"ENCODERS", "DECODERS", "BOTTLENECKS", "LOSSES", "DISPATCH", "FAMILIES", "FamilySwitches"}


def test_components_of_the_recipes_train_with_ours_and_with_each_other(followed: Path) -> None:
    swept = (
        "phase1/encoder=mlp,my_encoder",
        "phase1/latent_space=linear,my_bottleneck",
        "phase1/decoder=mlp,my_decoder",
        "phase1/loss=mse,my_loss",
    )

    done = train_in_copy(followed, "--multirun", *swept, *FEW, "hydra.sweep.dir=sweep")

    jobs = sorted(path for path in (followed.parent / "sweep").iterdir() if path.is_dir())
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(jobs) == 16
    assert all(read_result(job / "facts") for job in jobs)
    assert all((job / "figures" / "speed.png").stat().st_size > 1000 for job in jobs)
    assert "my_encoder" in (jobs[-1] / ".hydra/config.yaml").read_text(encoding="utf-8")


def test_loop_of_the_recipes_records_facts_and_resumes(followed: Path) -> None:
    run = followed.parent / "loop"
    command = ("loop=my_loop", "data.limit_events=300", "phase1.trainer.epochs=2", f"hydra.run.dir={run}")

    stopped = train_in_copy(followed, *command, "phase1.trainer.max_time_s=0.01")
    done = train_in_copy(followed, *command)

    facts = read_events(run / "facts")
    assert (stopped.returncode, done.returncode) == (85, 0), stopped.stderr + done.stderr
    assert [fact["epoch"] for fact in facts if fact["moment"] == "on_epoch_end"] == [0, 1]
    assert [fact["moment"] for fact in facts if "resume" in fact["moment"] or "interrupt" in fact["moment"]] == [
        "on_interrupt",
        "on_resume",
    ]
    assert read_result(run / "facts")["rec_mse"] > 0


def test_metric_of_the_recipes_is_recorded_and_may_be_monitored(followed: Path) -> None:
    keys = ("loop=my_metric", *FEW, "phase1.trainer.monitor=mean_abs_error", "hydra.run.dir=metric")

    done = train_in_copy(followed, *keys)

    (epoch,) = [fact for fact in read_events(followed.parent / "metric/facts") if fact["moment"] == "on_epoch_end"]
    assert done.returncode == 0, done.stderr
    # An epoch line has nine digits.
    best = read_result(followed.parent / "metric/facts")["best_monitor"]
    assert best == pytest.approx(epoch["metrics"]["val"]["mean_abs_error"], rel=1e-8)
    assert epoch["metrics"]["train"]["mean_abs_error"] > 0


def test_code_of_the_recipes_passes_the_checks_of_the_repository(followed: Path) -> None:
    written = [path for recipe in read_recipes() for path in recipe.written if path.endswith(".py")]
    suites = ("test_phase1_assembly.py", "test_configs.py", "test_imports.py", "test_repeatable_ops.py")

    checks = [
        run_in_copy(followed, "ruff", "format", "--check", *written),
        run_in_copy(followed, "ruff", "check", *written),
        run_in_copy(followed, "mypy"),
        run_in_copy(followed, "pytest", *(f"tests/{suite}" for suite in suites)),
    ]

    assert [check.stdout + check.stderr for check in checks if check.returncode != 0] == []


@pytest.mark.parametrize(
    ("text", "arguments", "n_printed"),
    [
        ("README.md", ["+my_key=3"], 1),
        ("the author's", ["--multirun", "+my_key=3,4"], 2),
    ],
)
def test_raw_loop_trains_with_keys_of_its_own(text: str, arguments: list[str], n_printed: int, tmp_path: Path) -> None:
    blocks = split_blocks("author", AUTHORS_LOOP) if text != "README.md" else read_blocks(text)
    (register,) = [block for block in blocks if find_path(block).endswith(DISPATCH_FILE)]
    copy = tmp_path / "copy"
    copy.mkdir()
    copy_checkout(copy, "src", "configs", "pyproject.toml")
    (copy / "src/thesis_ml/training_loops/my_loop.py").write_text(RAW_LOOP, encoding="utf-8")
    insert(copy / find_path(register), r"^DISPATCH\b", register.code.partition("\nDISPATCH = ")[0] + "\n\n")
    insert(copy / find_path(register), r"(?<=^DISPATCH\b)[^{]*?= \{", '"my_loop": _my_loop, ', is_after=True)

    done = train_in_copy(copy, *arguments, "loop=my_loop")

    assert done.returncode == 0, done.stderr
    assert re.findall(r"my_key \+ 1 is \d", done.stdout) == [f"my_key + 1 is {4 + job}" for job in range(n_printed)]
    assert list(tmp_path.glob("outputs/**/.hydra/overrides.yaml"))
    assert list(tmp_path.glob("outputs/**/facts")) == []


def test_a_key_of_the_trainer_is_one_field_and_one_line_of_yaml(tmp_path: Path) -> None:
    field, line = (block.code.strip() for block in read_blocks("docs/how-to/add-a-key.md") if block.language != "bash")
    copy = tmp_path / "copy"
    copy.mkdir()
    copy_checkout(copy, "src", "configs", "docs", "tests", "pyproject.toml", "REPORTS_GUIDE.md")
    settings, yaml_file = copy / "src/thesis_ml/training_loops/settings.py", copy / "configs/phase1/trainer/ae.yaml"
    insert(settings, r"(?<=^class TrainerConfig:)[^@]*?(?=\n    def __post_init__)", f"    {field}\n", is_after=True)
    yaml_file.write_text(yaml_file.read_text(encoding="utf-8") + f"{line}\n", encoding="utf-8")

    written = subprocess.run(
        [sys.executable, "docs/make_reference.py"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert written.returncode == 0, written.stderr
    assert f"{line} # seconds without a better monitor" in yaml_file.read_text(encoding="utf-8")
    keys = {"ae": "phase1", "gan_ae": "phase1", "diffusion_ae": "phase1", "test_mlp": "general"}
    for loop, group in keys.items():
        key = f"{group}.trainer.patience_s"
        assert f"`{key}`" in (copy / "docs/reference/keys.md").read_text(encoding="utf-8")
        wrong = train_in_copy(copy, f"loop={loop}", f"{key}=0")
        assert (wrong.returncode, wrong.stderr) == (2, f"error: {key}: must be above 0, got 0.0\n")
        shown = train_in_copy(copy, f"loop={loop}", f"{key}=60", "--cfg", "job")
        assert "patience_s: 60" in shown.stdout, shown.stderr
    tests = run_in_copy(
        copy, "pytest", "-n", "0", "tests/test_config_values.py", "-k", "patience_s", "-m", "slow or not slow"
    )
    assert tests.returncode == 0, tests.stdout
    assert "8 passed" in tests.stdout
