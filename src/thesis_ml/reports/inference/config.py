"""The typed configuration of inference: which models score which events, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from thesis_ml.config import choose
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Count, Positive, Text, Threads, above, between, require
from thesis_ml.reports.inference.changes.corruptions import (
    CORRUPTIONS,
    DEFAULT_STRENGTHS,
    EARLIER_NAMES,
    LARGEST_STRENGTHS,
    CorruptionPlan,
)

NEEDS_INFERENCE = (
    "export",
    "downstream",
    "weak_supervision",
    "signal_file",
    "persist_raw_scores",
    "cross_sections_pb",
    "luminosity_fb",
)
"""Keys of `inference` that ask for something that a report without it does not have."""

LARGEST_SEED = 2**32 - 1
"""Fits take no larger one."""

ScoreName = Literal[
    "error_mean",
    "error_max",
    "error_sum",
    "latent_mahalanobis",
    "latent_mixture",
    "latent_neighbours",
    "code_mean",
    "code_sum",
]
"""What a model can say of an event."""

BaselineName = Literal["kmeans", "kmeans_place", "per_feature", "residual_kmeans"]
ExportKind = Literal["codes", "latents", "reconstruction"]
FilePath = Annotated[str, Text("a file, or null")]


@dataclass(frozen=True)
class Rates:
    """Physical rates, because the classes of a file are not mixed as nature mixes them.

    Args:
        cross_sections_pb: By the name or number of a label, or `signal_file`; after the selection of the file.
        luminosity_fb: Integrated luminosity in 1/fb.
    """

    cross_sections_pb: Mapping[str, float]
    luminosity_fb: float


@dataclass(frozen=True)
class InferenceConfig:
    """How events are scored with the models of the runs.

    Args:
        enabled: Whether any are.
        dataset_split: Which events.
        data_path: The file of the events; None: the one that the runs were trained on.
        check_fingerprint: Leave models out that were trained on another file.
        signal_file: A further file whose events of the split are signal; None: none.
        background_classes: Labels that are background; None: `train_classes` of the runs, else the commonest label.
        batch_size: Events per batch.
        autocast: Run models in bfloat16.
        n_threads: Threads on the CPU; None: torch and linear algebra decide.
        seed: Of corruptions, fits and halves of closure tests.
        max_samples: Score the first events of the split only.
        persist_raw_scores: Keep the score of every event.
        corruption_strategies: Strengths by the name of the corruption; None: all at their default strengths.
        metrics: Scores of models that are kept; none named: all.
        cross_sections_pb: By name or number of a label, or `signal_file`; None: no numbers of events are expected.
        luminosity_fb: Integrated luminosity in 1/fb, which they need.
        export: What each model makes of all splits, as a file in `inference/`; None: nothing.
        two_sample: Train boosted trees that try to tell reconstructed from real events; three seconds for each model.
        weak_supervision: Train trees on data with 0, 1, 3 and 10% signal, beside labels and the resonance; ten seconds.
        downstream: Train classifiers on original and on reconstructed events; ten seconds for each model of the sample.
        baselines: Compressions without a model that the figure of error against bits shows as references.
    """

    enabled: bool = False
    dataset_split: Literal["train", "val", "test"] = "test"
    data_path: FilePath | None = None
    check_fingerprint: bool = True
    signal_file: FilePath | None = None
    background_classes: tuple[int, ...] | None = None
    batch_size: Count = 512
    autocast: bool = False
    n_threads: Threads | None = 1
    seed: Annotated[int, between(0, LARGEST_SEED)] = 0
    max_samples: Count | None = None
    persist_raw_scores: bool = False
    corruption_strategies: Mapping[str, tuple[float, ...]] | None = None
    metrics: tuple[ScoreName, ...] = ()
    cross_sections_pb: Mapping[str, Positive] | None = None
    luminosity_fb: Positive | None = None
    export: ExportKind | None = None
    two_sample: bool = True
    weak_supervision: bool = False
    downstream: bool = False
    baselines: tuple[BaselineName, ...] = ("kmeans", "kmeans_place", "per_feature", "residual_kmeans")

    def __post_init__(self) -> None:
        for key in NEEDS_INFERENCE:
            value = getattr(self, key)
            require(self.enabled or not value, key, "given with inference.enabled=true", value)
        require(self.background_classes != (), "background_classes", "a list of labels, or null", [])
        require(self.cross_sections_pb != {}, "cross_sections_pb", "values by label as {ttbar: 830}, or null", {})
        is_complete = (self.luminosity_fb is None) == (self.cross_sections_pb is None)
        require(is_complete, "luminosity_fb", "given together with cross_sections_pb", self.luminosity_fb)

    def choose_rates(self) -> Rates | None:
        """Return cross-sections and luminosity, None where they are not given."""
        if self.cross_sections_pb is None or self.luminosity_fb is None:
            return None
        return Rates(self.cross_sections_pb, self.luminosity_fb)

    def list_corruptions(self) -> tuple[CorruptionPlan, ...]:
        """Return every corruption at each of its strengths, weakest first.

        Raises:
            ConfigError: A corruption or a strength is impossible.
        """
        chosen = DEFAULT_STRENGTHS if self.corruption_strategies is None else self.corruption_strategies
        for name, strengths in chosen.items():
            choose(name, CORRUPTIONS, "inference.corruption_strategies")
            largest = LARGEST_STRENGTHS[name]
            for strength in strengths:
                key = f"inference.corruption_strategies.{name}"
                above(0, at_most=largest).refuse(key, strength)
        return tuple(
            CorruptionPlan(name, strength, self.seed)
            for name, strengths in chosen.items()
            for strength in sorted(set(strengths or DEFAULT_STRENGTHS[name]))
        )


def name_strengths(inference: Mapping[Any, Any]) -> dict[Any, Any]:
    """Let corruptions be a list of names, or have one strength instead of a list."""
    chosen = inference.get("corruption_strategies")
    if isinstance(chosen, list) and all(isinstance(name, str) for name in chosen):
        chosen = {name: [] for name in chosen}
    elif isinstance(chosen, Mapping):
        chosen = {name: _list_strengths(value) for name, value in chosen.items()}
    elif chosen is not None:
        raise ConfigError(
            "inference.corruption_strategies: expected names such as [energy_smearing], or strengths by name such as "
            f"{{energy_smearing: 0.1}}, got {chosen!r}"
        )
    if chosen is not None:
        current = {old: name for name, old in EARLIER_NAMES.items()}
        for old, name in current.items():
            if old in chosen and name in chosen and chosen[old] != chosen[name]:
                raise ConfigError(f"inference.corruption_strategies: {old} is what {name} was called; give one of them")
        chosen = {current.get(name, name): strengths for name, strengths in chosen.items()}
    return {**inference, "corruption_strategies": chosen}


def _list_strengths(value: Any) -> Any:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
