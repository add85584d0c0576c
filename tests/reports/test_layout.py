"""The package of reports stays readable: short modules, and numbers in tables instead of composed sentences."""

import ast
from pathlib import Path

import pytest

REPORTS = Path(__file__).resolve().parents[2] / "src" / "thesis_ml" / "reports"
MODULES = sorted(REPORTS.rglob("*.py"))
MOST_LINES = 300
MOST_WORDS = 8
MOST_COMPOSERS = 15


def count_words(node: ast.JoinedStr) -> int:
    """Return the words of the fixed parts of a text with values in it."""
    parts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
    return sum(any(letter.isalpha() for letter in word) for part in parts for word in part.split())


def composes_text(function: ast.FunctionDef) -> bool:
    """Tell whether a function builds a text of many words around values; the messages of errors do not count."""
    in_errors = {id(node) for one in ast.walk(function) if isinstance(one, ast.Raise) for node in ast.walk(one)}
    texts = [node for node in ast.walk(function) if isinstance(node, ast.JoinedStr) and id(node) not in in_errors]
    return any(count_words(text) > MOST_WORDS for text in texts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(REPORTS).as_posix())
def test_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_few_functions_compose_running_text() -> None:
    found = [
        f"{path.relative_to(REPORTS)}: {function.name}"
        for path in MODULES
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and composes_text(function)
    ]

    assert len(found) <= MOST_COMPOSERS, found


def test_composed_text_is_found_and_error_messages_are_not() -> None:
    composed = 'def f(x):\n    return f"{x} is one of nine words that stand in a row"'
    raised = composed.replace("return f", "raise ValueError(f") + ")"

    functions = [ast.parse(text).body[0] for text in (composed, raised)]

    assert [composes_text(one) for one in functions if isinstance(one, ast.FunctionDef)] == [True, False]
