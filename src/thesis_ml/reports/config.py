"""The typed configuration of one report."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from thesis_ml.config import choose, parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Weight, between, require
from thesis_ml.reports.inference.config import InferenceConfig, name_strengths
from thesis_ml.reports.scoreboard import COLUMNS, MOST_TERMINAL
from thesis_ml.reports.tex import NumberStyle
from thesis_ml.reports.utils.discovery import InputsConfig
from thesis_ml.utils.environment import OUTPUT_VARIABLE, EnvConfig, check_user
from thesis_ml.utils.paths import MAX_SHOWN

SUMMARY_SCHEMA_VERSION = 2
LISTS = ("sweep_dir", "run_dirs", "select")
"""Keys of `inputs` that take one text or a list of them."""


@dataclass(frozen=True)
class OutputsConfig:
    """What is drawn, and how; `which_figures` None means every figure that has something to show."""

    fig_format: Literal["png", "pdf", "svg"] = "png"
    dpi: Annotated[int, between(30, 1200)] = 150
    which_figures: tuple[str, ...] | None = None
    tex_numbers: NumberStyle = "plain"


@dataclass(frozen=True)
class ScoreboardConfig:
    """The columns of the scoreboard that the terminal shows, of those that were measured; the page has all."""

    terminal: tuple[str, ...] = ("bits_per_token", "rec_mse", "two_sample", "width68_pt", "jet_mass", "seeds")

    def __post_init__(self) -> None:
        for name in self.terminal:
            choose(name, COLUMNS, "terminal")
        require(len(self.terminal) <= MOST_TERMINAL, "terminal", f"at most {MOST_TERMINAL} columns", self.terminal)


@dataclass(frozen=True)
class ThresholdsConfig:
    """The error that runs are timed to; None takes one that every run reaches."""

    val_mse: Weight | None = None
    comparison: Literal["<=", "<"] = "<="
    split: Literal["train", "val"] = "val"


@dataclass(frozen=True)
class ReportConfig:
    """Everything a report may know of how it was configured.

    Args:
        report_name: Name of the report.
        inputs: Which runs.
        outputs: What is drawn, and how.
        thresholds: The error that runs are timed to.
        scoreboard: The columns of the scoreboard.
        inference: How events are scored.
        verbose: Print excluded folders, all checks and the tables too.
        summary_schema_version: The form of summary.json.
        output_root: The folder that gets reports/ as the user gave it; None: beside the runs.
    """

    report_name: str
    inputs: InputsConfig
    outputs: OutputsConfig = field(default_factory=OutputsConfig)
    thresholds: ThresholdsConfig = field(default_factory=ThresholdsConfig)
    scoreboard: ScoreboardConfig = field(default_factory=ScoreboardConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    verbose: bool = False
    summary_schema_version: int = SUMMARY_SCHEMA_VERSION
    output_root: Path | None = None

    def __post_init__(self) -> None:
        known = SUMMARY_SCHEMA_VERSION
        require(self.summary_schema_version == known, "summary_schema_version", str(known), self.summary_schema_version)


def parse_report(cfg: DictConfig) -> ReportConfig:
    """Return the typed configuration of a report.

    Raises:
        ConfigError: A key is unknown, or a value is missing or wrong.
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    env = plain.pop("env", None)
    places = None if env is None else parse_config(EnvConfig, env, "env")
    if isinstance(plain.get("inputs"), Mapping):
        plain["inputs"] = {name: _as_list(name, value) for name, value in plain["inputs"].items()}
    if isinstance(plain.get("inference"), Mapping):
        plain["inference"] = name_strengths(plain["inference"])
    if plain.get("report_name") is None and HydraConfig.initialized():
        plain["report_name"] = HydraConfig.get().job.config_name
    require("output_root" not in plain, "output_root", "given as env.output_root", plain.get("output_root"))
    if places is not None and is_root_given():
        check_user(places, OmegaConf.to_container(cfg.env, resolve=False))
    root = _expand_root(places.output_root) if places is not None and is_root_given() else None
    config = parse_config(ReportConfig, plain, "")
    # A wrong name or strength is said now, not after the models were read.
    config.inference.list_corruptions()
    return replace(config, output_root=root)


def _expand_root(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"env.output_root: {text[:MAX_SHOWN]!r} names a home that is not known; give a folder"
        ) from error


def is_root_given() -> bool:
    """Say whether the user chose where reports go."""
    if os.environ.get(OUTPUT_VARIABLE):
        return True
    typed = HydraConfig.get().overrides.task if HydraConfig.initialized() else ()
    return any(line.lstrip("+").startswith(("env=", "env.output_root=")) for line in typed)


def _as_list(name: Any, value: Any) -> Any:
    if name not in LISTS or isinstance(value, list):
        return value
    return [] if value is None else [value]
