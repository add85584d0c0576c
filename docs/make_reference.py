"""Write what stands in the fields of the Config classes where people read it: yaml comments and docs/reference/keys.md.

Run `python docs/make_reference.py` after changing a key; a test compares.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml

from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.config import read_annotations
from thesis_ml.data.config import DataConfig
from thesis_ml.data.convert.config import ConvertConfig, ObjectConfig, OverlapConfig
from thesis_ml.data.convert.readers.registry import READERS
from thesis_ml.limits import Range
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.training_loops.diffusion_autoencoder import DiffusionTrainerConfig
from thesis_ml.training_loops.gan_autoencoder import AdversarialTrainerConfig
from thesis_ml.training_loops.settings import TrainerConfig
from thesis_ml.training_loops.simple_mlp import GeneralConfig, TableTrainerConfig, TaskChoice
from thesis_ml.utils.environment import EnvConfig

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
PAGE = ROOT / "docs" / "reference" / "keys.md"
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value> [^#]*?)?(?P<comment>\s+# .*)?$")

PHASE1 = {"encoder": ENCODERS, "decoder": DECODERS, "latent_space": BOTTLENECKS, "loss": LOSSES, "critic": CRITICS}
TRAINERS = {"ae": TrainerConfig, "adversarial": AdversarialTrainerConfig, "diffusion": DiffusionTrainerConfig}


@dataclass(frozen=True)
class Key:
    """One key: its full name, the annotation of its field, and its default."""

    name: str
    kind: Any
    default: Any

    @property
    def comment(self) -> str:
        """The meaning of the key with its choices or limits, as the yaml files show it."""
        return describe_kind(self.kind)


def list_options() -> dict[str, type]:
    """Return the Config class of every option of a group, by `group/option`; of a group that has one, by its name."""
    parts = {f"phase1/{part}/{name}": kind.Config for part, kinds in PHASE1.items() for name, kind in kinds.items()}
    trainers = {f"phase1/trainer/{name}": kind for name, kind in TRAINERS.items()}
    others = {"env": EnvConfig, "data": DataConfig, "logging": LoggingConfig}
    return {**others, **parts, **trainers, "general/trainer/test_mlp": TableTrainerConfig}


def list_option_keys(option: str, kind: type) -> list[Key]:
    """Return the keys of an option of a group."""
    group = option if option in ("env", "data", "logging") else option.rpartition("/")[0]
    return list(list_keys(kind, group.replace("/", ".")))


def list_table_keys() -> list[Key]:
    """Return the keys of the loop `test_mlp` that stand in no group."""
    general = [key for key in list_keys(GeneralConfig, "general") if not key.name.startswith("general.trainer.")]
    return [*list_keys(TaskChoice), *general]


def list_keys(kind: type, where: str = "") -> Iterator[Key]:
    """Yield the keys of a Config class, those of the dataclasses inside it too."""
    hints = read_annotations(kind)
    for field in dataclasses.fields(kind):
        name = f"{where}.{field.name}".lstrip(".")
        inner = unwrap(hints[field.name])
        if dataclasses.is_dataclass(inner):
            yield from list_keys(typing.cast(type, inner), name)
            continue
        has_factory = field.default_factory is not dataclasses.MISSING
        yield Key(name, hints[field.name], field.default_factory() if has_factory else field.default)


def describe_kind(kind: Any) -> str:
    """Return the meaning in an annotation, with its choices before it and its limits behind the first clause."""
    marks = list(list_marks(kind))
    meaning = next((mark for mark in marks if isinstance(mark, str)), "")
    if choices := list_choices(kind):
        return (
            meaning
            if all(choice in meaning for choice in choices)
            else ": ".join(filter(None, (" | ".join(choices), meaning)))
        )
    limits = [str(mark) for mark in marks if not isinstance(mark, str) and str(mark)]
    limits += [f"each {mark}" for mark in list_marks(find_entry(kind)) if isinstance(mark, Range)]
    first, semicolon, rest = meaning.partition(";")
    return ", ".join(filter(None, (first, *limits))) + semicolon + rest


def list_choices(kind: Any) -> list[str]:
    """Return the values that a closed choice has."""
    inner = unwrap(kind)
    if inner is bool:
        return ["true", "false"]
    return [str(arg) for arg in get_args(inner)] if get_origin(inner) is Literal else []


def list_marks(kind: Any) -> Iterator[Any]:
    """Yield the texts and limits of an annotation, the outermost first."""
    if get_origin(kind) is Annotated:
        inner, *marks = get_args(kind)
        yield from marks
        yield from list_marks(inner)
    elif get_origin(kind) in (Union, types.UnionType):
        yield from list_marks(next(arg for arg in get_args(kind) if arg is not types.NoneType))


def find_entry(kind: Any) -> Any:
    """Return the annotation of the entries of a list or mapping, None for anything else."""
    inner = unwrap(kind)
    if get_origin(inner) is tuple:
        return get_args(inner)[0]
    return get_args(inner)[1] if get_args(inner) and issubclass(get_origin(inner) or object, Mapping) else None


def is_optional(kind: Any) -> bool:
    """Say whether a key may be null."""
    if get_origin(kind) is Annotated:
        return is_optional(get_args(kind)[0])
    return types.NoneType in get_args(kind) if get_origin(kind) in (Union, types.UnionType) else False


def unwrap(kind: Any) -> Any:
    """Return the type in an annotation, without limits and without None."""
    if get_origin(kind) is Annotated:
        return unwrap(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return unwrap(next(arg for arg in get_args(kind) if arg is not types.NoneType))
    return kind


def list_files() -> dict[Path, list[Key]]:
    """Return the yaml files whose comments come from fields, with the keys that may stand in each."""
    files: dict[Path, list[Key]] = {
        CONFIGS / "loop/test_mlp.yaml": list_table_keys(),
        CONFIGS / "convert/_default.yaml": list(list_keys(ConvertConfig)),
    }
    for option, kind in list_options().items():
        paths = (
            [CONFIGS / f"{option}.yaml"]
            if (CONFIGS / f"{option}.yaml").is_file()
            else (CONFIGS / option).glob("*.yaml")
        )
        keys = list_option_keys(option, kind)
        group = keys[0].name.rpartition(".")[0] if "/" in option else option
        inside = [dataclasses.replace(key, name=key.name.removeprefix(f"{group}.")) for key in keys]
        files |= dict.fromkeys(paths, inside)
    return files


def comment_yaml(text: str, keys: list[Key]) -> str:
    """Return the text of a yaml file with the comment of every key that has a field."""
    comments = {key.name: key.comment for key in keys if key.name.rpartition(".")[2] != "name" or key.comment}
    parents: list[str] = []
    lines = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            lines.append(line)
            continue
        parents = [*parents[: len(match["indent"]) // 2], match["key"]]
        comment = comments.get(".".join(parents))
        value = (match["value"] or "").rstrip()
        lines.append(f"{match['indent']}{match['key']}:{value} # {comment}" if comment and value else line)
    return "\n".join(lines) + "\n"


def write_page() -> str:
    """Return the page of all keys."""
    parts = [
        "# Keys of the configuration",
        "Every key of `thesis-train`, with its default and its meaning. "
        "`docs/make_reference.py` writes this page and the comments of the yaml files from the fields of the Config "
        "classes. The keys of reports are in [REPORTS_GUIDE.md](../../REPORTS_GUIDE.md).",
    ]
    for option, kind in list_options().items():
        parts += [
            f"## `{option}`" if "/" not in option else f"## `{option.rpartition('/')[0]}={option.rpartition('/')[2]}`"
        ]
        parts.append(write_table(list_option_keys(option, kind)))
    parts += ["## `loop=test_mlp`", write_table(list_table_keys())]
    parts += ["## `thesis-data`", write_table(list(list_keys(ConvertConfig)))]
    for name, kind in (("objects.<name>", ObjectConfig), ("overlap[<number>]", OverlapConfig)):
        parts += [f"### `{name}`", write_table(list(list_keys(kind)))]
    for name, reader in READERS.items():
        keys = [key for key in list_keys(reader.Config, "reader") if key.name != "reader.name"]
        parts += [f"### `reader.name={name}`", write_table(keys) if keys else "No keys: the layout says everything."]
    return "\n\n".join(parts) + "\n"


def write_table(keys: list[Key]) -> str:
    """Return a table of keys."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for key in keys:
        if key.name.endswith(".name") and not key.comment:
            continue
        rows.append(f"| `{key.name}` | `{show_default(key)}` | {key.comment.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def show_default(key: Key) -> str:
    """Return the default of a key as a user would type it."""
    value = key.default
    if value is dataclasses.MISSING:
        return "set by env" if key.name.startswith("env.") else "required"
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True).removesuffix("\n...\n").strip()


def write_all() -> dict[Path, str]:
    """Return the text of every file that is made from fields."""
    files = {path: comment_yaml(path.read_text(encoding="utf-8"), keys) for path, keys in list_files().items()}
    return {**files, PAGE: write_page()}


def list_missing() -> list[str]:
    """Return keys of trainers without a line of yaml, and trainers of yaml without a Config class."""
    trainers = {path.stem for path in (CONFIGS / "phase1/trainer").glob("*.yaml")} - set(TRAINERS)
    missing = [f"configs/phase1/trainer/{name}.yaml: add its Config class to TRAINERS" for name in sorted(trainers)]
    for name, kind in TRAINERS.items():
        text = "".join(path.read_text(encoding="utf-8") for path in (CONFIGS / "phase1/trainer").glob("*.yaml"))
        keys = [key.name.rpartition(".")[2] for key in list_option_keys(f"phase1/trainer/{name}", kind)]
        missing += [
            f"{kind.__name__}.{key}: add a line to configs/phase1/trainer/" for key in keys if f"{key}:" not in text
        ]
    return missing


if __name__ == "__main__":
    if missing := list_missing():
        raise SystemExit("\n".join(missing))
    for path, text in write_all().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
