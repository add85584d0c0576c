"""What a recipe says of the files of an experiment: where objects are, which are kept, and how events are divided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from thesis_ml.config import choose
from thesis_ml.data.further import Encoding, check_name
from thesis_ml.data.object_types import MOST_TYPES
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Count, Positive, Seed, Share, Text, at_least, between, require
from thesis_ml.utils.paths import expand_home

Unit = Literal["GeV", "MeV"]
QUANTITIES = ("pt", "eta", "phi", "mass", "E", "px", "py", "pz")
"""What may be said of the four-momentum of an object."""
MOMENTA = (("pt", "eta", "phi"), ("px", "py", "pz"))
"""Either of them is needed; the energy follows from a mass, and the mass from an energy."""
PLACE = "place"
"""Column of readers that know the place of an object among those of other types."""
SPLITS = ("train", "val", "test")
DEFAULT_CLASS = "events"
"""Name of the class of inputs that are given without one."""

Formula = Annotated[str, Text("an expression of columns, such as 'pt > 25 and abs(eta) < 2.5'")]


@dataclass(frozen=True)
class ObjectConfig:
    """One type of object, and where a file has it.

    Args:
        columns: Quantities of the four-momentum by name; those that are not given are columns of their own name.
    """

    id: Annotated[int, between(1, MOST_TYPES), "number of the type in the output"]
    prefix: Annotated[str, "what columns of the object begin with, such as Jet_"] = ""
    columns: Annotated[Mapping[str, Formula], "pt, eta, phi, mass, E, px, py, pz: column or expression"] = field(
        default_factory=dict
    )
    mass_gev: Annotated[Annotated[float, at_least(0)] | None, "mass of all [GeV]; null: from mass or E"] = None
    unit: Annotated[Unit | None, "of their energies; null: that of the file"] = None
    select: Annotated[Formula | None, "which are kept; pt, E, mass in GeV; null: all"] = None
    extra: Annotated[Mapping[str, Formula], "further columns of the output by name (layout ragged)"] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        for name in self.columns:
            choose(name, dict.fromkeys(QUANTITIES), "columns")
        if taken := [name for name in self.extra if name in (*QUANTITIES, PLACE)]:
            raise ConfigError(f"extra: {taken[0]!r} is a name of our own; choose another one")
        for name in self.extra:
            check_name(name, "extra")


@dataclass(frozen=True)
class ExtraConfig:
    """What the output says of a further column of objects."""

    unit: Annotated[str, Text("the unit of a column, 1 for none")] = "1"
    encoding: Annotated[
        Encoding | None, "how it enters models: linear, log, log1p, angle, category; null: by its unit and values"
    ] = None


@dataclass(frozen=True)
class OverlapConfig:
    """Objects that are removed near others; rules apply in their order, to what the earlier ones have left."""

    remove: Annotated[tuple[str, ...], "types that lose objects"]
    near: Annotated[tuple[str, ...], "types that they are near to"]
    dr: Annotated[Positive, "smaller distances in eta and phi remove"]


@dataclass(frozen=True)
class MetConfig:
    """Missing transverse momentum: pt and phi, or px and py, or minus the sum of the kept objects."""

    pt: Annotated[Formula | None, "its size"] = None
    phi: Annotated[Formula | None, "its azimuth [rad]"] = None
    px: Annotated[Formula | None, "its components, in place of size and azimuth"] = None
    py: Annotated[Formula | None, "as above"] = None
    from_objects: Annotated[bool, "minus the vector sum of the kept objects"] = False
    unit: Annotated[Unit | None, "null: that of the file"] = None

    def __post_init__(self) -> None:
        given = [name for name in ("pt", "phi", "px", "py") if getattr(self, name) is not None]
        allowed = [[]] if self.from_objects else [["pt", "phi"], ["px", "py"]]
        require(given in allowed, "pt", "given with phi; or px with py; or from_objects: true alone", given)


@dataclass(frozen=True)
class FractionsConfig:
    """Shares of events."""

    train: Annotated[Share, "share of the events"] = 0.7
    val: Annotated[Share, "as above"] = 0.15
    test: Annotated[Share, "as above"] = 0.15

    def __post_init__(self) -> None:
        total = self.train + self.val + self.test
        require(abs(total - 1) < 1e-6, "train", "shares whose sum is 1", total)


@dataclass(frozen=True)
class SplitConfig:
    """How events are divided: by a hash of file, event number and seed, or by a column."""

    fractions: FractionsConfig = field(default_factory=FractionsConfig)
    seed: Annotated[Seed, "of the hash; an event keeps its split when files are added"] = 0
    by: Annotated[Formula | None, "0, 1, 2 for train, val, test; null: the hash"] = None


@dataclass(frozen=True)
class ConvertConfig:
    """Everything a conversion may know of how it was configured."""

    reader: Annotated[Mapping[str, Any], "what reads the files, by name, and its options"]
    inputs: Annotated[Any, "class: file or wildcards, or a list of them; a plain file or list is one class"] = None
    output: Annotated[str | None, "HDF5 file to write"] = None
    objects: Annotated[Mapping[str, ObjectConfig], "types of objects by name; none: those of the file"] = field(
        default_factory=dict
    )
    select: Annotated[Formula | None, "which objects of all types are kept, beside their own select; null: all"] = None
    overlap: Annotated[tuple[OverlapConfig, ...], "rules of overlap removal, in their order"] = ()
    max_objects: Annotated[Count | None, "most objects of an event, those of largest pT; null: all"] = 20
    order: Annotated[Literal["pt", "as_stored"], "objects of an event by falling pT, or as the file has them"] = "pt"
    unit: Annotated[Unit, "of energies in the file"] = "GeV"
    met: MetConfig = field(default_factory=lambda: MetConfig(from_objects=True))
    event: Annotated[Formula | None, "which events are kept; count('jet') is a number of kept objects"] = None
    weight: Annotated[Formula | None, "of events; null: 1"] = None
    extra_columns: Annotated[Mapping[str, ExtraConfig], "unit and encoding of further columns, by name"] = field(
        default_factory=dict
    )
    event_extra: Annotated[
        Mapping[str, Formula], "further columns of events by name, such as other weights (layout ragged)"
    ] = field(default_factory=dict)
    index: Annotated[Formula | None, "event number; null: the place in the file"] = None
    label: Annotated[Formula | None, "class of an event, in place of that of its file"] = None
    label_names: Annotated[Mapping[str, str], "names of labels that a column gives, such as {0: ttbar, 1: ttH}"] = (
        field(default_factory=dict)
    )
    split: SplitConfig = field(default_factory=SplitConfig)
    limit: Annotated[Count | None, "events read of each file; null: all"] = None
    layout: Annotated[
        Literal["auto", "table", "ragged"], "auto: ragged with further columns or above 2 GB, else 2 + 5T columns"
    ] = "auto"
    compression: Annotated[Literal["gzip", "none"], "of the output"] = "gzip"
    on_error: Annotated[Literal["fail", "skip"], "what a broken file does"] = "fail"
    overwrite: Annotated[bool, "replace an output that exists"] = False
    n_workers: Annotated[int, between(1, 256), "processes"] = 1

    def __post_init__(self) -> None:
        ids = [one.id for one in self.objects.values()]
        require(sorted(ids) == list(range(1, len(ids) + 1)), "objects", "ids 1, 2, ... without gap or duplicate", ids)
        for number, rule in enumerate(self.overlap):
            for name in (*rule.remove, *rule.near) if self.objects else ():
                choose(name, self.objects, f"overlap[{number}]")
        for name in self.event_extra:
            check_name(name, "event_extra")
        for name in self.extra_columns if self.objects else ():
            choose(name, dict.fromkeys(self.extra_names), "extra_columns")
        if self.layout == "table":
            require(not self.event_extra, "event_extra", "empty with layout=table; use layout=ragged", self.event_extra)
            for name, one in self.objects.items():
                if one.extra:
                    raise ConfigError(f"objects.{name}.extra: 2 + 5T columns hold no others; use layout=ragged")

    @property
    def extra_names(self) -> tuple[str, ...]:
        """Names of the further columns of any object."""
        return tuple(dict.fromkeys(name for one in self.objects.values() for name in one.extra))


def list_type_names(objects: Mapping[str, ObjectConfig]) -> tuple[str, ...]:
    """Return the names of the object ids 1, 2, ..."""
    return tuple(sorted(objects, key=lambda name: objects[name].id))


def find_inputs(inputs: Any) -> dict[str, list[Path]]:
    """Return the files of each class, in the order given; wildcards are replaced by what they match, sorted.

    Raises:
        ConfigError: There is none, one matches no file, or a file is given twice.
    """
    if inputs is None:
        raise ConfigError("inputs: missing; name files as inputs=a.root or 'inputs={ttbar: a.root, ttH: [b.root]}'")
    classes = inputs if isinstance(inputs, Mapping) else {DEFAULT_CLASS: inputs}
    found = {str(name): _find_files(value, f"inputs.{name}") for name, value in classes.items()}
    require(bool(found), "inputs", "at least one file", inputs)
    owners: dict[Path, str] = {}
    for name, paths in found.items():
        for path in paths:
            if (other := owners.get(path.resolve())) is not None:
                raise ConfigError(f"inputs.{name}: {path} is given twice (also in {other}); leave one out")
            owners[path.resolve()] = name
    return found


def _find_files(value: Any, where: str) -> list[Path]:
    entries = list(value) if isinstance(value, list | tuple) else [value]
    require(bool(entries), where, "a file or a list of files", value)
    paths: list[Path] = []
    for entry in entries:
        require(isinstance(entry, str) and bool(entry.strip()), where, "a file, wildcards or a list of them", entry)
        paths += _match_files(entry, where)
    return paths


def _match_files(text: str, where: str) -> list[Path]:
    path = expand_home(text)
    if path.is_file():
        return [path]
    if "://" in text:
        raise ConfigError(
            f"{where}: {text!r} is on another machine; copy it here first, for example with xrdcp or curl"
        )
    if not any(mark in text for mark in "*?["):
        raise ConfigError(f"{where}: there is no file {text!r}; check the path, or use wildcards such as 'data/*.root'")
    absolute = path.absolute()
    try:
        matches = Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor)))
        found = sorted(one for one in matches if one.is_file())
    except ValueError as error:
        raise ConfigError(f"{where}: {text!r} are no wildcards ({error}); use such as 'data/**/*.root'") from None
    if not found:
        raise ConfigError(f"{where}: {text!r} matches no file; check the path")
    return found
