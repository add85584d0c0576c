"""What the pages of the repository show: code blocks, and the commands in them; and a copy of the checkout to try."""

import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
"""The pages at the root and in docs/, by their paths from the root."""

FENCE = re.compile(r"^\s*```(?P<language>\w*)\s*$")
COMMENT = re.compile(r"^\s*<!-- (?P<text>.*) -->\s*$")
HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(?P<end>\w+)\1")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Args:
        page: Path of the page from the root.
        line: Number of the line that opens it.
        language: The word behind the fence.
        comment: Text of the comment on the line before, blank when there is none.
        section: The heading it stands under.
        before: What the section says since the block before it.
        code: Its lines, without the indentation that all of them share.
    """

    page: str
    line: int
    language: str
    comment: str
    section: str
    before: str
    code: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read_blocks(page: str) -> list[Block]:
    """Return the blocks of a page in their order."""
    return split_blocks(page, (ROOT / page).read_text(encoding="utf-8"))


def split_blocks(page: str, text: str) -> list[Block]:
    """Return the blocks of the text of a page in their order."""
    blocks: list[Block] = []
    section, before, lines = "", [], iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if line.startswith("#"):
            section, before = line.lstrip("# "), []
        elif (fence := FENCE.match(line)) is None:
            before.append(line)
        else:
            comment = COMMENT.match(before[-1]) if before else None
            code = []
            while not FENCE.match(line := next(lines, (0, "```"))[1]):
                code.append(line)
            said = comment["text"] if comment else ""
            dedented = textwrap.dedent("\n".join(code)) + "\n"
            blocks.append(Block(page, number, fence["language"], said, section, "\n".join(before), dedented))
            before = []
    return blocks


def split_commands(code: str) -> list[str]:
    """Return the commands of a shell block: its lines, each with what a backslash or a here-document adds to it."""
    commands, lines = [], iter(code.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.endswith("\\"):
            line = line[:-1] + next(lines).lstrip()
        if (document := HERE_DOCUMENT.search(line)) is not None:
            while line.splitlines()[-1].strip() != document["end"]:
                line += "\n" + next(lines)
        commands.append(line)
    return commands


def copy_checkout(target: Path, *names: str) -> Path:
    """Copy the checkout, or only the entries named, without what git leaves out; return `target`."""
    made = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignore = shutil.ignore_patterns(".git", *(pattern.rstrip("/") for pattern in made))
    entries = {entry.name for entry in ROOT.iterdir()}
    for name in sorted((set(names) or entries) - ignore(str(ROOT), sorted(entries))):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignore)
        else:
            shutil.copy(source, target / name)
    return target
