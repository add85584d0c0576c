#!/usr/bin/env python3
"""Print the overrides of every job in a file, quoted as HTCondor wants them; any Python 3 of the submit host does.

The file holds one job a line, quoted as on the command line. Blank lines and lines that start with # are left out.
"""

import re
import shlex
import sys
from pathlib import Path


def quote_argument(argument):
    """Return one argument in the quotes of HTCondor: single ones around it, each quote inside it twice.

    A dollar would begin a macro, so the macros that stand for dollars take its place.
    """
    doubled = argument.replace("'", "''").replace('"', '""')
    escaped = re.sub(r"\$\$?", lambda match: {"$": "$(DOLLAR)", "$$": "$$(DOLLARDOLLAR)"}[match[0]], doubled)
    return f"'{escaped}'"


def list_jobs(text):
    """Return the quoted arguments of every job.

    Raises:
        ValueError: A quotation mark has no partner.
    """
    lines = [line.strip() for line in text.splitlines()]
    return [
        " ".join(quote_argument(argument) for argument in shlex.split(line))
        for line in lines
        if line and not line.startswith("#")
    ]


def main(path):
    try:
        jobs = list_jobs(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{path}: cannot be read ({error}); expected one line of overrides per job")
    if not jobs:
        sys.exit(f"{path}: holds no job; write one line of overrides per job")
    print("\n".join(jobs))


if __name__ == "__main__":
    main(sys.argv[1])
