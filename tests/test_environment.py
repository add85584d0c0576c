"""The ways to install the package agree: pyproject.toml, environment.yml and constraints.txt."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"torch": "pytorch"}


def split_requirement(text: str) -> tuple[str, str]:
    """Return the normalised name and the version range of `name[extra]>=1,<2; marker`."""
    name, version_range = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*([^;]*)", text).groups()
    return normalise(name), ",".join(sorted(version_range.replace(" ", "").split(",")))


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def list_installed_closure(requirements: list[str]) -> set[str]:
    """Return every package that the given ones need here, themselves included."""
    waiting, found = list(requirements), set()
    while waiting:
        requirement = waiting.pop()
        if requirement in found:
            continue
        found.add(requirement)
        needed = importlib.metadata.requires(split_requirement(requirement)[0]) or []
        waiting += [text for text in needed if is_needed(text, list_extras(requirement))]
    return {split_requirement(requirement)[0] for requirement in found}


def list_extras(requirement: str) -> list[str]:
    """Return the extras that a requirement such as `name[first,second]>=1` asks for."""
    extras = re.match(r"[\w.-]+\[([^]]*)\]", requirement)
    return [normalise(name.strip()) for name in extras.group(1).split(",")] if extras else []


def is_needed(requirement: str, extras: list[str]) -> bool:
    """Say whether a requirement of an installed package, which was asked for with `extras`, holds here."""
    marker = requirement.partition(";")[2]
    named = re.search(r"""extra == ['"]([^'"]+)""", marker)
    if named and normalise(named.group(1)) not in extras:
        return False
    try:
        importlib.metadata.distribution(split_requirement(requirement)[0])
    except importlib.metadata.PackageNotFoundError:
        # Not installed because its marker does not hold here; pip would have failed otherwise.
        return not marker
    return True


def test_environment_has_the_same_ranges_as_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    project = read_project()
    expected = {
        CONDA_NAMES.get(name, name): versions for name, versions in map(split_requirement, project["dependencies"])
    }

    found = dict(map(split_requirement, environment["dependencies"]))

    assert environment["name"] == "thesis-ml"
    assert environment["channels"] == ["conda-forge"]
    assert found.pop("python") == project["requires-python"]
    assert found.pop("pip") == ""
    assert found == expected


def test_constraints_pin_every_package_that_is_installed_and_no_other() -> None:
    project = read_project()
    requirements = [*project["dependencies"], *project["optional-dependencies"]["test"]]

    assert set(read_constraints()) == list_installed_closure(requirements)


def test_constraints_lie_within_the_ranges_of_pyproject() -> None:
    from packaging.specifiers import SpecifierSet

    project, pins = read_project(), read_constraints()

    for name, versions in map(split_requirement, project["dependencies"] + project["optional-dependencies"]["test"]):
        assert SpecifierSet(versions).contains(pins[name]), name


def test_constraints_leave_the_build_of_torch_to_the_index() -> None:
    assert read_constraints()["torch"] == "2.13.0"
