"""What the package needs of Windows: no POSIX-only module, no symbolic links, no names that it refuses."""

import re
from pathlib import Path

import pytest

from command_runs import SMALL, run_commands

# As on Windows: the modules are not there, a variable names the user, and making symbolic links is a privilege.
WINDOWS = """
import sys
HIDDEN = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "crypt", "spwd", "nis"}

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in HIDDEN:
            raise ImportError(f"there is no module {name} on Windows")

for name in HIDDEN:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hide())

def refuse_link(*args, **kwargs):
    raise OSError(1314, "a required privilege is not held by the client")

os.symlink = refuse_link
"""


@pytest.mark.slow
def test_package_trains_and_sweeps_without_posix_modules_and_links(tmp_path: Path) -> None:
    lines = [[*SMALL, "name=a:b"], ["--multirun", *SMALL, "phase1/latent_space=none,vq"]]

    outcomes = run_commands(tmp_path, lines, prelude=WINDOWS, variables={"USERNAME": "user"})

    made = list((tmp_path / "outputs").rglob("*"))
    models = [path for path in made if path.name == "model.pt"]
    assert [outcome.exit_code for outcome in outcomes] == [0, 0], outcomes
    assert len(models) == 3
    assert not any(path.is_symlink() for path in made)
    assert all(path.read_bytes() == (path.parent / "best_val.pt").read_bytes() for path in models)
    assert [path.name for path in made if re.search(r'[<>:"\\|?*]|[. ]$', path.name)] == []
