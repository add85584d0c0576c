"""Imports point one way, heavy and POSIX-only modules stay where they belong, and errors are not swallowed."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

SOURCE = Path(__file__).resolve().parents[1] / "src"
PACKAGE = "thesis_ml"

BASE = {"config", "errors", "limits"}
ALLOWED = {
    "__init__": {"tokenizer", "runs", "api"},
    "errors": set(),
    "limits": {"errors"},
    "config": {"errors"},
    "utils": BASE,
    "metrics": {"utils", *BASE},
    "data": {"utils", "metrics", *BASE},
    "facts": {"utils", "metrics", "data", *BASE},
    "architectures": {"utils", "metrics", "data", *BASE},
    "tokenizer": {"architectures", "data", "utils", *BASE},
    "monitoring": {"facts", "metrics", "data", "utils", *BASE},
    "training_loops": {"architectures", "monitoring", "facts", "metrics", "data", "utils", *BASE},
    "runs": {"facts", "metrics", "data", "utils", *BASE},
    "reports": {"runs", "tokenizer", "architectures", "monitoring", "facts", "metrics", "data", "utils", *BASE},
}
ALLOWED["cli"] = {"training_loops", "reports", "runs"} | ALLOWED["training_loops"]
ALLOWED["api"] = {"cli", "tokenizer", "monitoring", "facts", "utils", *BASE}
"""What each package may import beside itself (ARCHITECTURE.md); `architectures` knows nothing of facts."""

POSIX_ONLY = {
    "crypt",
    "fcntl",
    "grp",
    "nis",
    "ossaudiodev",
    "posix",
    "pty",
    "pwd",
    "resource",
    "spwd",
    "syslog",
    "termios",
    "tty",
}
REPORTS_ALLOWED = {
    "utils": {"comparison"},
    "plots": {"utils", "comparison", "contents"},
    "inference": {"plots", "utils", "comparison", "contents"},
    "page": {"plots", "utils", "comparison", "contents", "scoreboard", "report"},
}
"""The parts of `reports/` that each of its folders may import: models and pages know nothing of each other."""

MAY_IMPORT_LATE = (
    "thesis_ml/__init__.py",
    "thesis_ml/api/",
    "thesis_ml/cli/",
    "thesis_ml/monitoring/orchestrator.py",
    "thesis_ml/metrics/matching.py",
    "thesis_ml/reports/report.py",
    "thesis_ml/runs/index.py",
    "hydra_plugins/htcondor_launcher/launcher.py",
)
PLUGINS_MAY_IMPORT = ("thesis_ml.utils.", "thesis_ml.errors.", "thesis_ml.facts.lines.")
MAY_CATCH_ALL = "thesis_ml/facts/recorder.py"

MODULES = sorted(SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in MODULES]


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def list_imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the full names of everything that import statements among `nodes` name."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def walk_module_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported: everything outside functions and `if TYPE_CHECKING`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not is_typing and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def find_wrong_direction(name: str, imported: set[str]) -> set[str]:
    """Return which of the imported names the module `name` (a path below src) must not import."""
    own = name.removeprefix(f"{PACKAGE}/").split("/")[0].removesuffix(".py")
    inner = {full for full in imported if full.split(".")[0] == PACKAGE}
    return {full for full in inner if full.split(".")[1] not in ALLOWED.get(own, set()) | {own}}


def catches_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(PACKAGE)])
def test_module_imports_only_what_lies_below_it(name: str) -> None:
    assert find_wrong_direction(name, list_imported(ast.walk(parse(SOURCE / name)))) == set()


def find_wrong_part(name: str) -> set[str]:
    """Return the parts of `reports/` that a module imports and must not import."""
    own = name.removeprefix(f"{PACKAGE}/reports/").split("/")[0]
    inner = [full.split(".") for full in list_imported(ast.walk(parse(SOURCE / name)))]
    found = {parts[2] for parts in inner if parts[:2] == [PACKAGE, "reports"]}
    return found - {own} - REPORTS_ALLOWED.get(own, found)


def test_modules_of_reports_import_only_what_lies_below_them() -> None:
    modules = [name for name in NAMES if name.startswith(f"{PACKAGE}/reports/")]

    assert {name: wrong for name in modules if (wrong := find_wrong_part(name))} == {}


def test_direction_of_every_package_is_known() -> None:
    packages = {
        name.removeprefix(f"{PACKAGE}/").split("/")[0].removesuffix(".py") for name in NAMES if name.startswith(PACKAGE)
    }

    assert packages - {"__init__"} <= set(ALLOWED)


def name_module(path: str) -> str:
    """Return the dotted name of a module from its path below src."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def list_arrows(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return which other modules each of our modules imports, anywhere in it; a package stands for its __init__."""
    arrows = {}
    for name, tree in modules.items():
        named = list_imported(ast.walk(tree))
        found = {full if full in modules else full.rpartition(".")[0] for full in named}
        arrows[name] = {full for full in found if full in modules and full != name}
    return arrows


def find_circle(arrows: dict[str, set[str]]) -> list[str]:
    """Return the modules of a circle of imports, nothing where there is none."""
    open_modules = {name: set(targets) for name, targets in arrows.items()}
    while leaves := [name for name, targets in open_modules.items() if not targets]:
        for name in leaves:
            del open_modules[name]
        for targets in open_modules.values():
            targets.difference_update(leaves)
    return sorted(open_modules)


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {name_module(name): parse(SOURCE / name) for name in NAMES}

    assert find_circle(list_arrows(modules)) == []


def test_find_circle_sees_a_late_import() -> None:
    late = "def f():\n    from thesis_ml.cli import b\n"
    modules = {"thesis_ml.cli.a": ast.parse(late), "thesis_ml.cli.b": ast.parse("import thesis_ml.cli.a")}
    modules["thesis_ml.cli.c"] = ast.parse("from thesis_ml.cli.a import x")

    circle = find_circle(list_arrows(modules))

    assert {"thesis_ml.cli.a", "thesis_ml.cli.b"} <= set(circle)
    assert find_circle(list_arrows({**modules, "thesis_ml.cli.a": ast.parse("import os")})) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("hydra_plugins")])
def test_plugin_imports_little_of_the_package(name: str) -> None:
    inner = {full for full in list_imported(ast.walk(parse(SOURCE / name))) if full.split(".")[0] == PACKAGE}

    assert {full for full in inner if not full.startswith(PLUGINS_MAY_IMPORT)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_module_imports_at_its_top(name: str) -> None:
    if name.startswith(MAY_IMPORT_LATE):
        return
    tree = parse(SOURCE / name)
    at_top = {id(node) for node in walk_module_level(tree)}
    late = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in at_top]

    assert [node.lineno for node in late if not is_for_types(tree, node)] == []


def is_for_types(tree: ast.Module, node: ast.AST) -> bool:
    """Say whether `node` stands in an `if TYPE_CHECKING` of the module itself."""
    guards = [guard for guard in tree.body if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.dump(guard.test)]
    return any(node in guard.body for guard in guards)


def test_modules_import_on_windows_too() -> None:
    tops = {name: list_imported(walk_module_level(parse(SOURCE / name))) for name in NAMES}

    assert {name for name, imported in tops.items() if {full.split(".")[0] for full in imported} & POSIX_ONLY} == set()


def test_pandas_is_imported_by_readers_and_reports_only() -> None:
    readers = ("thesis_ml/facts/readers.py", "thesis_ml/data/convert/readers/tables.py", "thesis_ml/api/run.py")
    others = [name for name in NAMES if name not in readers and "/reports/" not in name]
    imported = {name: list_imported(ast.walk(parse(SOURCE / name))) for name in others}

    assert {name for name, found in imported.items() if "pandas" in {full.split(".")[0] for full in found}} == set()


def test_arrays_in_annotations_are_of_the_type_that_jaxtyping_reads() -> None:
    wrong = {"numpy.typing", "numpy.typing.NDArray"}
    assert [name for name in NAMES if wrong & list_imported(ast.walk(parse(SOURCE / name)))] == []


def test_only_the_recorder_catches_every_exception_and_only_once() -> None:
    found = [name for name in NAMES for node in ast.walk(parse(SOURCE / name)) if catches_everything(node)]

    assert found == [MAY_CATCH_ALL]


@pytest.mark.parametrize(
    ("name", "code", "is_wrong"),
    [
        ("thesis_ml/utils/paths.py", "from thesis_ml.data import batch", True),
        ("thesis_ml/architectures/build.py", "import thesis_ml.facts.schema", True),
        ("thesis_ml/reports/utils/x.py", "from thesis_ml import training_loops", True),
        ("thesis_ml/config.py", "from thesis_ml.errors import ConfigError", False),
        ("thesis_ml/cli/train/__init__.py", "from thesis_ml.training_loops.engine import run_training", False),
    ],
)
def test_direction_check_knows_right_from_wrong(name: str, code: str, is_wrong: bool) -> None:
    assert bool(find_wrong_direction(name, list_imported(ast.walk(ast.parse(code))))) == is_wrong
