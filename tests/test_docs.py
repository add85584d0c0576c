"""The pages of the repository are true and in their layers: links, folders, keys, lengths, results, decisions."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from guides import PAGES, ROOT, read_blocks
from hydra_plugins.htcondor_launcher.launcher import HTCondorConfig

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

MOST_LINES = {"README.md": 220, "ARCHITECTURE.md": 200}
DECISIONS, RESULTS = "docs/decisions/", "docs/results/"
INDEXES = {f"{folder}README.md" for folder in ("docs/", DECISIONS, RESULTS)}

WRITTEN = {"None": "null", "True": "true", "False": "false"}
"""How a page writes values that yaml writes otherwise."""

NO_COMMAND = "No script of the repository prints this table"

KEY_TABLES = {
    "docs/reference/gan_ae.md": ("phase1.trainer", "phase1/trainer/adversarial.yaml"),
    "docs/reference/diffusion_ae.md": ("phase1.decoder", "phase1/decoder/diffusion.yaml"),
    "docs/reference/inference.md": ("", "report/compare_runs.yaml"),
    "HPC_GUIDE.md": ("hydra.launcher", None),
}
"""The pages whose table of keys shows defaults: what the keys lie below, and their file; None: that of the plugin."""

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TREE_LINE = re.compile(r"^(?P<indent>(?:│   |    )*)(?:├── |└── )(?P<names>[^#]+)")
ABSOLUTE_PATH = re.compile(r"(?<![\w.}/-])/(work|farm|home|root|tmp|opt|mnt)/\w")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def list_links(text: str) -> list[str]:
    """Return the targets of links within the repository."""
    targets = LINK.findall(CODE_BLOCK.sub("", text))
    return [target for target in targets if "://" not in target and not target.startswith("mailto:")]


def list_anchors(text: str) -> list[str]:
    """Return the anchors that links to the headings of a text have."""
    headings = [found["text"].lower() for found in HEADING.finditer(CODE_BLOCK.sub("", text))]
    return [re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings]


def is_link_right(page: str, target: str) -> bool:
    """Say whether the file, and the heading in it, that a link of a page points to exist."""
    name, _, anchor = target.partition("#")
    path = (ROOT / page).parent / name if name else ROOT / page
    return path.exists() and (not anchor or anchor in list_anchors(path.read_text(encoding="utf-8")))


def list_linked(page: str) -> set[str]:
    """Return the paths from the root that a page links to."""
    files = ((ROOT / page).parent / target.partition("#")[0] for target in list_links(read(page)))
    return {file.resolve().relative_to(ROOT).as_posix() for file in files}


def list_tree(text: str) -> list[str]:
    """Return the paths in the first tree of a text that is rooted at `src/thesis_ml/`; a line may name several."""
    block = next(block for block in CODE_BLOCK.findall(text) if block.splitlines()[1] == "src/thesis_ml/")
    folders, paths = [], []
    for line in block.splitlines():
        if match := TREE_LINE.match(line):
            depth = len(match["indent"]) // 4
            for name in match["names"].split():
                folders[depth:] = [name.rstrip("/")]
                paths.append("/".join(folders))
    return paths


def read_defaults(page: str, prefix: str) -> dict[str, str]:
    """Return the defaults in the table of a page whose keys lie below `prefix`, by key, where it shows any."""
    lines, defaults = iter(read(page).splitlines()), {}
    head = f"| key below `{prefix}` | default |" if prefix else "| key | default |"
    next(line for line in lines if line.startswith(head))
    next(lines)
    while (line := next(lines, "")).startswith("|"):
        names, default = (cell.strip() for cell in line.split(" | ")[:2])
        keys = re.findall(r"`([^`]+)`", names)
        values = re.findall(r"\[[^]]*\]|[^\s,]+", default)
        defaults |= dict(zip(keys, values if len(keys) > 1 else [default], strict=True))
    return defaults


def read_settings(file: str) -> dict[str, Any]:
    """Return the keys of a file in configs/, with those of the files beside it that it starts from."""
    settings: dict[str, Any] = {}
    own = yaml.safe_load(read(f"configs/{file}"))
    for base in own.pop("defaults", []):
        if isinstance(base, str) and base != "_self_":
            settings |= read_settings(f"{Path(file).parent.as_posix()}/{base}.yaml")
    return settings | own


def list_values(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of nested settings by full key, written as on a page."""
    values = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            values |= list_values(value, f"{prefix}{name}.")
        else:
            values[prefix + name] = WRITTEN.get(str(value), str(value))
    return values


def list_repository_texts() -> list[Path]:
    """Return every text of the repository that a reader opens, folders that a run makes left out."""
    endings = {".md", ".py", ".yaml", ".yml", ".toml", ".cff", ".txt", ".sub", ".sh"}
    paths = [path for path in ROOT.rglob("*") if path.suffix in endings and path.is_file()]
    return [path for path in paths if not is_made(path.relative_to(ROOT))] + [ROOT / ".ci" / "run"]


def is_made(path: Path) -> bool:
    return any(part in HIDDEN_OR_MADE or part.startswith((".", "venv")) for part in path.parent.parts)


@pytest.mark.parametrize("page", PAGES)
def test_page_links_to_files_and_headings_that_exist(page: str) -> None:
    assert [target for target in list_links(read(page)) if not is_link_right(page, target)] == []


def test_every_page_of_docs_is_linked_from_an_index() -> None:
    linked = set().union(*(list_linked(page) for page in INDEXES))

    assert [page for page in PAGES if page.startswith("docs/") and page not in linked | {"docs/README.md"}] == []


@pytest.mark.parametrize(("page", "most"), MOST_LINES.items())
def test_page_is_short(page: str, most: int) -> None:
    assert len(read(page).splitlines()) <= most


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(DECISIONS) and page not in INDEXES])
def test_decision_has_its_parts_and_its_line_in_the_index(page: str) -> None:
    number, name = Path(page).name[:3], Path(page).name
    headings = [found["text"] for found in HEADING.finditer(read(page))]

    assert headings[1:] == ["Context", "Choice", "Consequence"]
    assert headings[0].startswith(f"{number} ")
    assert f"- [{headings[0]}]({name})\n" in read(f"{DECISIONS}README.md")


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(Path(page).name[:3]) for page in PAGES if page.startswith(DECISIONS) and page not in INDEXES]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(RESULTS) and page not in INDEXES])
def test_results_have_commands_of_files_that_exist(page: str) -> None:
    blocks = [block for block in read_blocks(page) if block.language == "bash"]
    benchmarks = re.findall(r"benchmarks/\w+\.py", "".join(block.code for block in blocks))

    assert blocks
    assert [name for name in benchmarks if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith(RESULTS) and page not in INDEXES])
def test_table_of_results_stands_below_its_command(page: str) -> None:
    sections = re.split(r"^#+ ", read(page), flags=re.MULTILINE)
    tables = [section for section in sections if "\n| " in section]

    assert [
        section.partition("\n")[0]
        for section in tables
        if not 0 <= section.find("```bash") < section.find("\n| ") and NO_COMMAND not in section
    ] == []


@pytest.mark.parametrize(("page", "place"), KEY_TABLES.items())
def test_table_of_keys_has_the_defaults_of_the_configuration(page: str, place: tuple[str, str | None]) -> None:
    prefix, file = place
    settings = asdict(HTCondorConfig()) if file is None else read_settings(file)
    values, defaults = list_values(settings), read_defaults(page, prefix)

    assert len(defaults) > 5
    assert defaults == {key: values.get(key, "no such key") for key in defaults}


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
    packages = {path.parent.relative_to(package) for path in package.rglob("__init__.py")} - {Path()}
    # The parts of inference have a tree of their own, in ARCHITECTURE.md.
    found = {path.as_posix() for path in packages if "inference" not in path.parent.parts}

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


def test_line_of_a_tree_may_name_several_folders() -> None:
    text = "```\nsrc/thesis_ml/\n├── cli/\n│   └── train/ reports/  # commands\n```"

    assert list_tree(text) == ["cli", "cli/train", "cli/reports"]


def test_links_are_found_outside_code_only() -> None:
    text = "[a](A.md#part) ![b](figures/b.png) [c](https://x.org) [d](#here)\n```\n[e](E.md)\n```"

    assert list_links(text) == ["A.md#part", "figures/b.png", "#here"]


@pytest.mark.parametrize(
    ("target", "is_right"),
    [("README.md#a-first-run", True), ("README.md#no-such-part", False), ("NO.md", False), ("#rules", False)],
)
def test_link_is_right_where_file_and_heading_exist(target: str, is_right: bool) -> None:
    assert is_link_right("ARCHITECTURE.md", target) == is_right


def test_anchor_of_a_heading_is_that_of_github() -> None:
    assert list_anchors("# A\n## events.jsonl, and `more`: B-C\n") == ["a", "eventsjsonl-and-more-b-c"]
