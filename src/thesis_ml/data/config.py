"""The options of a data set, as a user types them below `data`."""

from dataclasses import dataclass, field
from typing import Literal

from thesis_ml.config import require, require_at_least, require_between
from thesis_ml.errors import ConfigError

Feature = Literal["E", "pt", "eta", "phi", "mass"]
PhiEncoding = Literal["cos_sin", "wrapped"]

MOST_SYNTHETIC_EVENTS = 10_000_000
"""Per split; they take 4 GB."""


@dataclass(frozen=True)
class DatasetNames:
    """The names of the event tables in the file; labels and weights are found beside them."""

    x_train: str = "X_train"
    x_val: str = "X_val"
    x_test: str = "X_test"

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
    """The resonance that `inject: dijet_resonance` adds.

    Args:
        mass_gev: Where its mass peaks.
        width_gev: Full width at half maximum.
    """

    mass_gev: float = 500.0
    width_gev: float = 20.0

    def __post_init__(self) -> None:
        require_between(self, 150.0, 5000.0, "mass_gev")
        at_most = self.mass_gev / 5
        require(
            0 < self.width_gev <= at_most,
            "width_gev",
            f"above 0 and at most mass_gev / 5 ({at_most:g})",
            self.width_gev,
        )


@dataclass(frozen=True)
class SyntheticConfig:
    """Events that are made, not read; data/synthetic.py says how.

    Args:
        n_train: Events of the training split.
        n_val: Events of the validation split.
        n_test: Events of the test split.
        seed: The same seed gives the same events.
        signal_fraction: Chance of an event to be of the four-top-like class.
        inject: Anomaly of the test split, with a label of its own.
        inject_fraction: Chance of a test event to be replaced by the anomaly.
        resonance: Mass and width for `dijet_resonance`.
    """

    n_train: int = 30_000
    n_val: int = 6_000
    n_test: int = 6_000
    seed: int = 42
    signal_fraction: float = 0.5
    inject: Literal["none", "dijet_resonance", "four_top_overlay"] = "none"
    inject_fraction: float = 0.1
    resonance: ResonanceConfig = field(default_factory=ResonanceConfig)

    def __post_init__(self) -> None:
        require_between(self, 1, MOST_SYNTHETIC_EVENTS, "n_train", "n_val", "n_test")
        require_at_least(self, 0, "seed")
        require_between(self, 0.0, 1.0, "signal_fraction", "inject_fraction")

    def sizes(self) -> dict[str, int]:
        """Return the number of events of every split."""
        return {"train": self.n_train, "val": self.n_val, "test": self.n_test}


@dataclass(frozen=True)
class DataConfig:
    """Which events are read and how their tokens are described.

    Args:
        name: Name of the data set, printed at start and recorded.
        path: HDF5 file; None is the sample that comes with the package.
        datasets: Names of the event tables in the file.
        n_tokens: Keep the first `n_tokens` of every event, after `order`; None keeps all.
        limit_events: Read only the first events of each split; None reads all.
        encoding: Unit in which the file stores E, pT and MET; `auto` asks the file.
        features: Features per token, in the order of the columns.
        phi: Two columns, cosine and sine, or one column whose differences are wrapped.
        order: Tokens as the file stores them, or by falling pT.
        train_classes: Labels that train and val keep; None keeps all. The test split keeps all.
        num_workers: Always 0.
        synthetic: Make the events instead of reading any; None reads a file.
    """

    name: str = "sample"
    path: str | None = None
    datasets: DatasetNames = field(default_factory=DatasetNames)
    n_tokens: int | None = None
    limit_events: int | None = None
    encoding: Literal["auto", "mev", "gev", "ln_mev"] = "auto"
    features: tuple[Feature, ...] = ("E", "pt", "eta", "phi")
    phi: PhiEncoding = "cos_sin"
    order: Literal["as_stored", "pt"] = "as_stored"
    train_classes: tuple[int, ...] | None = None
    num_workers: int = 0
    synthetic: SyntheticConfig | None = None

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), "name", "a name for the data set", self.name)
        require(self.path is None or bool(self.path.strip()), "path", "a file, or null for the sample", self.path)
        require_at_least(self, 1, "n_tokens", "limit_events")
        _require_distinct("features", self.features)
        if self.train_classes is not None:
            _require_distinct("train_classes", self.train_classes)
            require(min(self.train_classes) >= 0, "train_classes", "a list of labels >= 0", list(self.train_classes))
        refuse_workers(self.num_workers)
        if self.synthetic is not None and self.path is not None:
            raise ConfigError(
                f"path: synthetic events come from no file, got {self.path!r}; use data=h5_tokens to read it"
            )


def refuse_workers(num_workers: int) -> None:
    """Refuse any number of worker processes but 0, with the reason."""
    if num_workers != 0:
        raise ConfigError(
            f"num_workers: must be 0, got {num_workers!r}; events live in memory and batches are slices of "
            "them, so workers would only add the cost of sending batches between processes"
        )


def _require_distinct(key: str, values: tuple[object, ...]) -> None:
    require(bool(values), key, "a list of at least one entry", list(values))
    require(len(set(values)) == len(values), key, "a list without duplicates", list(values))
