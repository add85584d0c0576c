"""The options of a data set, as a user types them below `data`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from thesis_ml.config import choose
from thesis_ml.data.further import check_name
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Count, Entries, Positive, Seed, Share, Text, above, at_least, between, require

FEATURES = ("E", "pt", "eta", "phi", "mass")
"""What every file has or says of an object; others are further columns of a file."""
PhiEncoding = Literal["cos_sin", "wrapped"]
Coordinates = Literal["separate", "flat"]
MassEncoding = Literal["by_type", "linear"]

EARLIER_DEFAULTS: Mapping[str, Any] = {"features": ("E", "pt", "eta", "phi"), "mass": "linear"}
"""The options of a run or checkpoint that does not name them: it is from before they had today's defaults."""

FLAT_FEATURES = ("E", "pt", "eta", "phi")
"""Features that flat coordinates describe together."""

FROM_MASS = ("pt", "eta")
"""Features that the energy follows from, with the mass."""

MadeEvents = Annotated[int, between(1, 10_000_000)]
"""Per split; ten million take 4 GB."""
LARGEST_MASS_WEIGHT = 1000.0
DatasetName = Annotated[str, Text("the name of a dataset in the file")]
Workers = Annotated[int, "only 0: data lives in memory, workers would add cost"]


@dataclass(frozen=True)
class DatasetNames:
    """The names of the event tables in the file; labels and weights are found beside them."""

    x_train: Annotated[
        DatasetName, "table of 2 + 5T columns, Y_train (labels) and W_train (weights) in any case; or a ragged group"
    ] = "X_train"
    x_val: Annotated[DatasetName, "dataset, as above"] = "X_val"
    x_test: Annotated[DatasetName, "dataset, as above"] = "X_test"

    def __post_init__(self) -> None:
        names = self.by_split()
        for split, name in names.items():
            require(bool(name.strip("/ ")), f"x_{split}", "the name of a dataset in the file", name)
        require(
            len(set(names.values())) == len(names), "x_train", "another dataset than x_val and x_test", self.x_train
        )

    def by_split(self) -> dict[str, str]:
        return {"train": self.x_train, "val": self.x_val, "test": self.x_test}


@dataclass(frozen=True)
class ResonanceConfig:
    """The resonance that `inject: dijet_resonance` adds."""

    mass_gev: Annotated[float, between(150.0, 5000.0), "peak of the dijet mass [GeV]"] = 500.0
    width_gev: Annotated[Positive, "its full width at half maximum [GeV]; at most a fifth of the mass"] = 20.0

    def __post_init__(self) -> None:
        most = self.mass_gev / 5
        require(self.width_gev <= most, "width_gev", f"above 0 and at most mass_gev / 5 ({most:g})", self.width_gev)


@dataclass(frozen=True)
class SyntheticConfig:
    """Events that are made, not read; data/synthetic.py says how."""

    n_train: Annotated[MadeEvents, "events of the training split"] = 30_000
    n_val: Annotated[MadeEvents, "events of the validation split"] = 6_000
    n_test: Annotated[MadeEvents, "events of the test split"] = 6_000
    seed: Annotated[Seed, "the same seed gives the same events, however many are asked for"] = 42
    signal_fraction: Annotated[
        Share, "probability of an event to be four-top-like (label 1); else background-like (label 0)"
    ] = 0.5
    inject: Annotated[
        Literal["none", "dijet_resonance", "four_top_overlay"], "anomaly with label 2, in the test split only"
    ] = "none"
    inject_fraction: Annotated[Share, "probability of a test event to be replaced by the anomaly"] = 0.1
    resonance: ResonanceConfig = field(default_factory=ResonanceConfig)

    def sizes(self) -> dict[str, int]:
        """Return the number of events of every split."""
        return {"train": self.n_train, "val": self.n_val, "test": self.n_test}


@dataclass(frozen=True)
class DataConfig:
    """Which events are read and how their tokens are described.

    Args:
        synthetic: Make the events instead of reading any; None reads a file.
    """

    name: Annotated[str, Text("a name for the data set"), "printed at start and recorded with the run"] = "sample"
    path: Annotated[
        Annotated[str, Text("a file, or null for the sample")] | None, "HDF5 file; null: the packaged sample"
    ] = None
    datasets: DatasetNames = field(default_factory=DatasetNames)
    n_tokens: Annotated[Count | None, "tokens kept per event, the first after `order`; null: all"] = None
    weight: Annotated[
        Annotated[str, Text("the name of a column")] | None,
        "column of a file in ragged layout with another weight of events; null: the weights of the file",
    ] = None
    limit_events: Annotated[Count | None, "events read per split, the first of the dataset; null: all"] = None
    encoding: Annotated[
        Literal["auto", "mev", "gev", "ln_mev"],
        "unit of E, pT, MET in the file; the file's own attributes win over a guess",
    ] = "auto"
    features: Annotated[
        tuple[Annotated[str, Text("the name of a feature")], ...],
        Entries(at_least=1, are_distinct=True),
        "any of E [GeV], pt [GeV], eta, phi [rad], mass [GeV], in any order, and further columns of the file; "
        "E follows from pt, eta and mass",
    ] = ("pt", "eta", "phi", "mass")
    type_names: Annotated[
        Annotated[tuple[Annotated[str, Text("a name")], ...], Entries(at_least=1, at_most=1000, are_distinct=True)]
        | None,
        "names of the object ids 1, 2, ...; null: those of the file, else jet, b-jet, e-, e+, mu-, mu+, photon",
    ] = None
    phi: Annotated[PhiEncoding, "cos_sin (two columns) | wrapped (one column, differences taken modulo 2 pi)"] = (
        "cos_sin"
    )
    mass: Annotated[
        MassEncoding, "by_type (ln(1 + m) of jets; other objects have the mass of their type) | linear (of all objects)"
    ] = "by_type"
    mass_weight: Annotated[
        float,
        above(0, LARGEST_MASS_WEIGHT),
        "factor of the standardised mass of jets, in flat coordinates of ln(E/p): a larger one keeps it better",
    ] = 1.0
    coordinates: Annotated[
        Coordinates, "separate (columns of each feature) | flat (of E, pt, eta, phi: squared errors of a token add up)"
    ] = "separate"
    order: Annotated[Literal["as_stored", "pt"], "tokens of an event: as_stored | pt (falling)"] = "as_stored"
    train_classes: Annotated[
        Annotated[tuple[Annotated[int, at_least(0)], ...], Entries(at_least=1, are_distinct=True)] | None,
        "labels kept in train and val, such as [0]; null: all; test always keeps all",
    ] = None
    num_workers: Workers = 0
    synthetic: SyntheticConfig | None = None

    def __post_init__(self) -> None:
        refuse_workers(self.num_workers)
        for name in self.further:
            if self.path is None:
                choose(name, dict.fromkeys(FEATURES), "features")
            check_name(name, "features")
        require(self.weight is None or self.path is not None, "weight", "null without data.path", self.weight)
        if self.encodes_jet_masses:
            is_complete = set(FROM_MASS) <= set(self.features)
            require(is_complete, "features", "pt and eta beside mass, or mass: linear", list(self.features))
        if self.coordinates == "flat":
            is_complete = set(self.features) == set(FLAT_FEATURES)
            require(is_complete, "coordinates", "separate, unless features are E, pt, eta and phi", self.coordinates)
        if self.synthetic is not None and self.path is not None:
            raise ConfigError(
                f"path: synthetic events come from no file, got {self.path!r}; use data=h5_tokens to read it"
            )

    @property
    def further(self) -> tuple[str, ...]:
        """The features that are further columns of the file."""
        return tuple(name for name in self.features if name not in FEATURES)

    @property
    def encodes_jet_masses(self) -> bool:
        """Whether a column holds the mass of jets, from which energies follow."""
        return "mass" in self.features and self.mass == "by_type"

    @property
    def physical_features(self) -> tuple[str, ...]:
        """The features that a model reconstructs, in GeV and radian: E in place of the mass that it follows from."""
        if not self.encodes_jet_masses:
            return self.features
        return ("E", *(feature for feature in self.features if feature not in ("E", "mass")))


def refuse_workers(num_workers: int) -> None:
    """Refuse any number of worker processes but 0, with the reason."""
    if num_workers != 0:
        raise ConfigError(
            f"num_workers: must be 0, got {num_workers!r}; events live in memory and batches are slices of "
            "them, so workers would only add the cost of sending batches between processes"
        )
