"""Yaml comments, docs/reference/keys.md and defaults are those of the fields."""

from typing import Annotated, Any, Literal

import pytest
import yaml

from reference_page import load_reference
from thesis_ml.limits import Count, HiddenWidths, Positive, Share, Width

REFERENCE = load_reference()
OTHER_IN_YAML = {
    "data": ("name", "path", "datasets", "encoding", "synthetic"),
    "general/trainer/test_mlp": ("monitor",),
    "env": ("data_root", "output_root", "user"),
}
"""Keys whose value in a yaml file is meant to differ from the default of the field, or is missing there."""


@pytest.mark.parametrize("path", list(REFERENCE.list_files()), ids=lambda path: path.stem)
def test_comments_of_a_yaml_file_are_those_of_the_fields(path) -> None:
    text = path.read_text(encoding="utf-8")

    assert REFERENCE.comment_yaml(text, REFERENCE.list_files()[path]) == text, "run python docs/make_reference.py"


def test_page_of_keys_is_that_of_the_fields() -> None:
    assert REFERENCE.PAGE.read_text(encoding="utf-8") == REFERENCE.write_page(), "run python docs/make_reference.py"


@pytest.mark.parametrize("option", list(REFERENCE.list_options()))
def test_defaults_of_the_fields_are_those_of_the_yaml_files(option: str, compose_cfg) -> None:
    from omegaconf import OmegaConf

    from thesis_ml.cli.groups import list_bases
    from thesis_ml.training_loops.registry import find_owner

    group, _, name = option.rpartition("/")
    files = list_bases(group, name) if group else list_bases(option, "default" if option == "logging" else "sample")
    merged = (
        OmegaConf.to_container(OmegaConf.merge(*(OmegaConf.load(path) for path in reversed(files)))) if files else {}
    )
    own = REFERENCE.list_option_keys(option, REFERENCE.list_options()[option])
    prefix = f"{group or option}.".replace("/", ".")

    assert find_owner(group, name) is None or files
    for key in own:
        inner = key.name.removeprefix(prefix)
        if inner.split(".")[0] in OTHER_IN_YAML.get(option, ()):
            continue
        value: Any = merged
        for part in inner.split("."):
            value = value[part]
        default = list(key.default) if isinstance(key.default, tuple) else key.default
        assert (float(value) if isinstance(default, float) else value) == default, key.name


@pytest.mark.parametrize(
    ("kind", "comment"),
    [
        (Annotated[Count, "passes"], "passes, >= 1"),
        (Annotated[Count | None, "epochs; null: never"], "epochs, >= 1; null: never"),
        (Annotated[Positive | None, "largest norm; null: no clipping"], "largest norm, > 0; null: no clipping"),
        (Annotated[Share, "share"], "share, 0 to 1"),
        (Annotated[Width, "width"], "width, 1 to 16384"),
        (Annotated[HiddenWidths, "widths; the last"], "widths, 1 to 100 of them, each 1 to 16384; the last"),
        (Annotated[bool, "draw"], "true | false: draw"),
        (Annotated[bool, "true: one way | false: the other"], "true: one way | false: the other"),
        (Literal["a", "b"], "a | b"),
        (Annotated[Literal["a", "b"], "which"], "a | b: which"),
        (str, ""),
    ],
)
def test_describe_kind_says_meaning_and_limits(kind: Any, comment: str) -> None:
    assert REFERENCE.describe_kind(kind) == comment


def test_comment_yaml_changes_comments_only() -> None:
    keys = [REFERENCE.Key("epochs", Annotated[Count, "passes"], 10), REFERENCE.Key("a.b", Annotated[Count, "inner"], 1)]
    text = "# about\ndefaults:\n  - ae\n\nepochs: 3 # old\na:\n  b: 2\nother: 1 # kept\n"

    written = REFERENCE.comment_yaml(text, keys)

    assert written == (
        "# about\ndefaults:\n  - ae\n\nepochs: 3 # passes, >= 1\na:\n  b: 2 # inner, >= 1\nother: 1 # kept\n"
    )
    assert yaml.safe_load(written) == yaml.safe_load(text)
