"""What HTCondor is told of the jobs of a sweep, read back without a pool."""

from pathlib import Path

import pytest

from hydra_plugins.htcondor_launcher._description import Place, describe_jobs, quote_argument, write_line
from hydra_plugins.htcondor_launcher._options import HTCondorConfig
from thesis_ml.errors import ConfigError

NASTY = [
    'name="a, b"',
    "name='it''s'",
    "x=[1, 2]",
    "y={a: b}",
    "z=k=v",
    "µ=é",
    "e=",
    "b=\\",
    " s=a  b ",
    "c=a,b;c#d",
    "p=%(x)",
]


def parse(text: str) -> dict[str, str]:
    """Return the commands of a description as HTCondor understands them."""
    htcondor2 = pytest.importorskip("htcondor2")
    return {key.lower(): value for key, value in htcondor2.Submit(text).items()}


def split_arguments(text: str) -> list[str]:
    """Split arguments as a job gets them: blanks separate, single quotes hold together, two of them are one."""
    words, word, is_quoted, is_open, letters = [], "", False, False, list(text)
    while letters:
        letter = letters.pop(0)
        if letter == "'" and is_quoted and letters[:1] == ["'"]:
            word += letters.pop(0)
        elif letter == "'":
            is_quoted, is_open = not is_quoted, True
        elif letter == " " and not is_quoted:
            words += [word] if word or is_open else []
            word, is_open = "", False
        else:
            word += letter
    return words + ([word] if word or is_open else [])


def test_arguments_are_read_back_as_they_were() -> None:
    number, _, arguments = write_line(4, NASTY).partition(" ")

    assert (number, split_arguments(arguments.replace('""', '"'))) == ("004", NASTY)


def test_dollars_stand_for_themselves() -> None:
    assert quote_argument("$a $$(b) $$$") == ("'$(DOLLAR)a $$(DOLLARDOLLAR)(b) $$(DOLLARDOLLAR)$(DOLLAR)'")


def test_line_break_is_refused() -> None:
    with pytest.raises(ConfigError, match="holds a line break"):
        quote_argument("name='a\nb'")


def test_options_reach_the_job(tmp_path: Path) -> None:
    options = HTCondorConfig(
        cpus=3,
        memory_mib=512,
        gpus=1,
        category="long",
        use_os=None,
        accounting="atlas",
        max_idle=None,
        extra={"rank": "Mips"},
    )

    commands = parse(describe_jobs(Place(tmp_path, 0), options))

    assert [commands[key] for key in ("request_cpus", "request_memory", "request_gpus")] == ["3", "512 MB", "1"]
    assert [commands[key] for key in ("my.jobcategory", "accounting_group", "rank")] == ['"long"', "atlas", "Mips"]
    assert commands["on_exit_remove"] == "(ExitBySignal == True) || (ExitCode != 85)"
    assert "my.useos" not in commands


@pytest.mark.parametrize(("max_jobs", "max_idle"), [(5, None), (None, 2), (None, None)])
def test_throttle_is_described_where_it_is_wanted(max_jobs: int | None, max_idle: int | None) -> None:
    text = describe_jobs(Place(Path("sweep"), 0), HTCondorConfig(max_jobs=max_jobs, max_idle=max_idle))

    assert ("max_materialize = 5" in text, "max_idle = 2" in text) == (max_jobs is not None, max_idle is not None)
