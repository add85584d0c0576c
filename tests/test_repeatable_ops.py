"""A lint against operations whose results differ from run to run on a CPU with several threads.

Measured: `index_put_(accumulate=True)` and the backward of `table[index]` do not repeat; functional.embedding,
index_select, gather, index_add_ and segment_reduce do. An index cannot be told from its type here, so the lint
goes by names, in modules that import torch: a parameter or table (`TABLES`) may be subscripted only with slices,
numbers and None, and nothing may be subscripted with a name that says it holds indices (`INDICES`). Where no gradient
flows (`@torch.no_grad()`) and on the left of an assignment any index repeats.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "thesis_ml"

IMPORTS_TORCH = re.compile(r"^\s*(import|from) torch\b", re.MULTILINE)
TABLES = re.compile(r"(^|_)(weight|codebook|table|embeddings?|centres|centroids)$")
INDICES = re.compile(r"(^|_)(index|indices|idx|codes|order|permutation|ids)$")
FORBIDDEN_CALLS = ("index_put_", "index_put", "put_")


def last_name(node: ast.AST) -> str:
    """Return `c` of `a.b.c`, `c` and `c(...)`."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def is_plain_index(node: ast.AST) -> bool:
    """Say whether a subscript takes a view: slices, numbers and None in any combination."""
    if isinstance(node, ast.Tuple):
        return all(is_plain_index(part) for part in node.elts)
    if isinstance(node, ast.UnaryOp):
        return is_plain_index(node.operand)
    return isinstance(node, ast.Slice | ast.Constant)


def holds_indices(node: ast.AST) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(INDICES.search(last_name(part)) for part in parts)


def find_unrepeatable(code: str) -> list[str]:
    """Return the operations of `code` that do not repeat, with their lines."""
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in _walk(code) if _is_unrepeatable(node)]


def _walk(code: str) -> Iterator[ast.AST]:
    tree = ast.parse(code)
    without_gradient = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any("no_grad" in ast.unparse(item) for item in node.decorator_list)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Subscript)
    }
    return (node for node in ast.walk(tree) if id(node) not in without_gradient)


def _is_unrepeatable(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        accumulates = any(item.arg == "accumulate" for item in node.keywords)
        return last_name(node) in FORBIDDEN_CALLS or (accumulates and "put" in last_name(node))
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load) or is_plain_index(node.slice):
        return False
    return bool(TABLES.search(last_name(node.value))) or holds_indices(node.slice)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(SOURCE.rglob("*.py")) if IMPORTS_TORCH.search(path.read_text(encoding="utf-8"))],
    ids=lambda path: path.relative_to(SOURCE).as_posix(),
)
def test_module_uses_only_operations_that_repeat(path: Path) -> None:
    assert find_unrepeatable(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        "sums.index_put_((codes,), latents, accumulate=True)",
        "torch.index_put(sums, (codes,), latents, True)",
        "sums.put_(index, values, accumulate=True)",
        "self.codebook[codes]",
        "self.embedding.weight[types]",
        "table[nearest]",
        "table[:, nearest]",
        "latents[event_index]",
        "latents[order.flip(0), codes]",
    ],
)
def test_lint_finds_what_does_not_repeat(code: str) -> None:
    assert find_unrepeatable(code) != []


@pytest.mark.parametrize(
    "code",
    [
        "functional.embedding(codes, self.codebook)",
        "table.index_select(0, nearest)",
        "sums.index_add_(0, codes, latents)",
        "self.codebook[:8]",
        "self.codebook[0, None]",
        "latents[start:stop, -1]",
        "self.codebook[rows] = latents",
        "names['codes']",
        "@torch.no_grad()\ndef revive(self):\n    return self.codebook[rows]",
    ],
)
def test_lint_lets_pass_what_repeats(code: str) -> None:
    assert find_unrepeatable(code) == []
