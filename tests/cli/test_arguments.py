"""Words that an option would swallow are refused with the line that was meant, and paths from ~ are read as such."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from thesis_ml.cli.arguments import check_words, quote_homes
from thesis_ml.cli.hydra_errors import describe_error
from thesis_ml.errors import ConfigError

REFUSED = {
    "-phase1.trainer.lr=1": r"-phase1\.trainer\.lr: is no option of this command; write phase1\.trainer\.lr=1\Z",
    "-cfg=3": r"-cfg: is no option",
    "-mode=3": r"-mode: is no option",
    "-resume=x": r"-resume: is no option",
    "-hydra.run.dir=x": r"-hydra\.run\.dir: is no option",
    "-data.path=x": r"-data\.path: is no option",
    "-i3": r"-i3: is no option",
    "--info data.path=x": r"--info: would take 'data\.path=x'",
    "-p phase1.trainer.lr=1": r"-p: would take 'phase1\.trainer\.lr=1' for its own value",
    "--pack=phase1.trainer.lr=1": r"--pack: would take 'phase1\.trainer\.lr=1'",
    "-cn data.path=x": r"-cn: would take 'data\.path=x'",
    "--experimental-rerun data.path=x": r"--experimental-rerun: would take 'data\.path=x'",
    "--epochs 3": r"--epochs: is no option of this command; write phase1\.trainer\.epochs=3\Z",
    "--epochs=3": r"--epochs: is no option of this command; write phase1\.trainer\.epochs=3\Z",
    "-epochs=3": r"-epochs: is no option of this command; write phase1\.trainer\.epochs=3\Z",
    "epochs 3": r"epochs: there is no value; write phase1\.trainer\.epochs=3\Z",
    "--name": r"--name: is no option of this command; write name=\.\.\.",
    "--multirum": r"--multirum: is no option of this command; did you mean '--multirun'",
    "phase1/latent_space vq": r"phase1/latent_space: there is no value; write phase1/latent_space=vq\Z",
}
FINE = (
    "-m phase1.trainer.lr=1,2",
    "-c job -p data",
    "-cn train -cd=configs ~phase1/loss +a=b",
    "--info defaults --multirun",
    "--resol --cfg=job",
    "",
)


@pytest.mark.parametrize("line", list(REFUSED))
def test_word_that_is_no_option_and_no_value_is_refused_with_the_right_line(line: str) -> None:
    with pytest.raises(ConfigError, match=r"\A" + REFUSED[line]):
        check_words(line.split(" "))


@pytest.mark.parametrize("line", FINE)
def test_check_words_lets_pass_options_and_values(line: str) -> None:
    check_words(line.split())


def test_check_words_knows_the_keys_of_a_report() -> None:
    with pytest.raises(ConfigError, match=r"write inputs\.run_dirs=a\Z"):
        check_words(["--run_dirs", "a"], "report")


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("data.path=~/x.h5", ["~/x.h5"]),
        ("data.path=~/it#1 é.h5", ["~/it#1 é.h5"]),
        ("+inputs.run_dirs=[~/a,b,~/c]", ["~/a", "b", "~/c"]),
        ("data.path='~/x.h5'", ["~/x.h5"]),
        ("name=a~b", ["a~b"]),
    ],
)
def test_path_from_home_means_what_it_means_in_quotes(word: str, values: Sequence[str]) -> None:
    (quoted,) = quote_homes([word])
    parsed = OverridesParser.create().parse_override(quoted).value() if word != "name=a~b" else quoted[5:]

    assert [str(value) for value in (parsed if isinstance(parsed, list) else [parsed])] == values


def test_path_from_home_is_expanded_where_hydra_itself_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere/me")
    monkeypatch.setenv("USERPROFILE", "/somewhere/me")

    assert quote_homes(["hydra.run.dir=~/x", "~data"]) == [f"hydra.run.dir='{Path('/somewhere/me/x')}'", "~data"]


@pytest.mark.parametrize("value", ["/a#b", "/a=b", "/data/é.h5", "a(b).h5", "a&b"])
def test_message_shows_the_quoted_form_that_works(value: str) -> None:
    with pytest.raises(OverrideParseException) as refused:
        OverridesParser.create().parse_overrides([f"name={value}"])

    quoted = re.search(r"quote it twice: '(.*)'\Z", describe_error(refused.value))
    assert quoted is not None
    assert OverridesParser.create().parse_override(quoted[1]).value() == value


@pytest.mark.slow
def test_check_of_values_holds_without_asserts(tmp_path: Path) -> None:
    command = [sys.executable, "-OO", "-m", "thesis_ml.cli.train", "phase1.trainer.lr=-1"]

    refused = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)

    assert (refused.returncode, refused.stderr) == (2, "error: phase1.trainer.lr: must be above 0, got -1.0\n")
