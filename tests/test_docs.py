"""What the texts of the repository say of it is true: links, folders, commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted(path.name for path in ROOT.glob("*.md"))
HIDDEN_OR_MADE = ("outputs", "build", "dist", "site-packages", "node_modules")

RUN_LINE = "pip install -c constraints.txt -e . && thesis-train"
TEST_LINE = 'pip install -c constraints.txt -e ".[test]" && pytest'
SECTIONS = (
    "Quick Start",
    "Project Structure",
    "Key Concepts",
    "Documentation",
    "Typical Workflows",
    "Testing",
    "Adding New Components",
    "Contributing",
    "Output Directory Structure",
    "Design Philosophy",
    "License",
    "Author",
)
"""The sections that the author of the project wants to find."""

AUTHORS_PATHS = (
    "cli/train",
    "cli/reports",
    "reports/analyses/compare_tokenizers.py",
    "reports/analyses/compare_globals_heads.py",
    "reports/plots",
    "reports/utils",
    "training_loops/autoencoder.py",
    "training_loops/simple_mlp.py",
    "architectures/autoencoder/encoders",
    "architectures/autoencoder/decoders",
    "architectures/autoencoder/bottlenecks",
    "architectures/autoencoder/losses",
    "architectures/simple",
    "facts/builders.py",
    "facts/writers.py",
    "facts/readers.py",
    "monitoring/orchestrator.py",
    "monitoring/io_utils.py",
    "monitoring/families",
    "data/h5_loader.py",
    "data/synthetic.py",
    "utils/seed.py",
    "utils/paths.py",
    "utils/training_progress_shower.py",
)
"""Where the author of the project looks for things."""

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TREE_LINE = re.compile(r"^(?P<indent>(?:│   |    )*)(?:├── |└── )(?P<name>[^\s#]+)")
ABSOLUTE_PATH = re.compile(r"(?<![\w.}/-])/(work|farm|home|root|tmp|opt|mnt)/\w")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def list_links(text: str) -> list[str]:
    """Return the targets of relative links, without anchors."""
    targets = [target.partition("#")[0] for target in LINK.findall(CODE_BLOCK.sub("", text))]
    return [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]


def list_tree(text: str) -> list[str]:
    """Return the paths in the first tree of a text that is rooted at `src/thesis_ml/`."""
    block = next(block for block in CODE_BLOCK.findall(text) if "src/thesis_ml/" in block.splitlines()[1])
    folders, paths = [], []
    for line in block.splitlines():
        if match := TREE_LINE.match(line):
            depth = len(match["indent"]) // 4
            folders[depth:] = [match["name"].rstrip("/")]
            paths.append("/".join(folders))
    return paths


def list_repository_texts() -> list[Path]:
    """Return every text of the repository that a reader opens, folders that a run makes left out."""
    endings = {".md", ".py", ".yaml", ".yml", ".toml", ".cff", ".txt", ".sub", ".sh"}
    paths = [path for path in ROOT.rglob("*") if path.suffix in endings and path.is_file()]
    return [path for path in paths if not is_made(path.relative_to(ROOT))] + [ROOT / ".ci" / "run"]


def is_made(path: Path) -> bool:
    return any(part in HIDDEN_OR_MADE or part.startswith((".", "venv")) for part in path.parent.parts)


@pytest.mark.parametrize("name", TEXTS)
def test_text_links_to_what_exists(name: str) -> None:
    assert [target for target in list_links(read(name)) if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_readme_has_the_sections_of_its_author(section: str) -> None:
    assert re.search(rf"^#+ .*{section}", read("README.md"), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("path", AUTHORS_PATHS)
def test_package_has_the_places_that_its_author_knows(path: str) -> None:
    assert (ROOT / "src" / "thesis_ml" / path).exists()


def test_readme_tree_names_only_what_exists() -> None:
    tree = list_tree(read("README.md"))

    assert len(tree) > 10
    assert [path for path in tree if not (ROOT / "src/thesis_ml" / path).exists()] == []


def test_readme_tree_names_every_package() -> None:
    package = ROOT / "src" / "thesis_ml"
    found = {path.parent.relative_to(package).as_posix() for path in package.rglob("__init__.py")} - {"."}

    assert found - set(list_tree(read("README.md"))) == set()


@pytest.mark.parametrize("line", [RUN_LINE, TEST_LINE])
def test_readme_has_the_set_up_lines(line: str) -> None:
    assert line in read("README.md").splitlines()


def test_ci_runs_the_test_line_of_the_readme() -> None:
    assert f"eval '{TEST_LINE}'" in read(".ci/run")


def test_no_text_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in list_repository_texts()
        if path != Path(__file__)
        for match in ABSOLUTE_PATH.finditer(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_tree_is_read_with_its_folders() -> None:
    text = "```\nsrc/thesis_ml/\n├── cli/      # entry points\n│   └── train/\n│\n└── data/\n    └── batch.py\n```"

    assert list_tree(text) == ["cli", "cli/train", "data", "data/batch.py"]


def test_links_are_found_outside_code_only() -> None:
    text = "[a](A.md#part) ![b](figures/b.png) [c](https://x.org) [d](#here)\n```\n[e](E.md)\n```"

    assert list_links(text) == ["A.md", "figures/b.png"]
