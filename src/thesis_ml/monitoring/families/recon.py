"""Physical quality of the reconstruction: residuals per epoch and, once measured, spectra, residuals and types."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_ml.facts.schema import UNIT, History
from thesis_ml.metrics.histograms import LOG_FEATURES
from thesis_ml.metrics.residuals import RELATIVE_FEATURES
from thesis_ml.monitoring import io_utils, scales
from thesis_ml.monitoring.families.confusion import CONFUSION_IN, draw_confusion, find_confusion
from thesis_ml.utils.arrays import NDArray

MATCHED = "reconstructed objects matched to the true ones of their event"

SPIKES = "spikes: values of single codes"
LEAST_ROUGHNESS = 0.1
WIDE_END = 0.93
"""Right edge of a panel over both columns, as a share of the page."""

RESIDUAL_LABELS = {"width68_": "68% half-width (val)", "median_": "median residual (val)"}
"""Label of the panel that shows the residuals of all features, by the prefix of their names."""

FEATURES = {
    "E": ("E", "GeV"),
    "pt": (r"p_\mathrm{T}", "GeV"),
    "eta": (r"\eta", ""),
    "phi": (r"\phi", "rad"),
    "mass": ("m", "GeV"),
}
"""Symbol and unit of every physical feature."""

FALLING = ("E", "pt", "mass")
"""Features with spectra that fall over decades."""

SPLITS = ("test", "val")
"""Order of preference: histograms of the first split that has them are drawn."""

CURVES_IN = 1.25
SPECTRUM_IN, RATIO_IN = 0.95, 0.5
RATIO_GAP_IN = 0.07
ROW_GAP_IN = 0.62
"""Between rows: tick labels, the label of the axis above, and the legend of the row below."""

NARROW_RATIO, WIDE_RATIO = 0.5, 1.0
"""Range of the ratio axis on either side of 1; the wide one when populated bins need it."""

POPULATED = 100
"""Fewest objects of a bin that decides on the range of the ratio axis: its error is 10%."""


@dataclass(frozen=True)
class Spectrum:
    """The histograms of one feature; counts have an underflow in front and an overflow behind."""

    feature: str
    split: str
    edges: NDArray[np.floating]
    residual_edges: NDArray[np.floating]
    true: NDArray[np.integer]
    rec: NDArray[np.integer]
    residual: NDArray[np.integer]


def draw_recon(history: History) -> Figure | None:
    """Draw the residuals per epoch and, once counted, the histograms of each feature and the confusion of types."""
    prefixes = [prefix for prefix in RESIDUAL_LABELS if _list_features(history, prefix)]
    spectra = _list_spectra(history)
    if not history.epochs or not prefixes:
        return None
    row_in = SPECTRUM_IN + RATIO_GAP_IN + RATIO_IN + ROW_GAP_IN
    first_in = io_utils.PAGE_TOP_IN
    end_in = first_in + CURVES_IN + len(spectra) * row_in
    counted = find_confusion(history.arrays, SPLITS)
    confusion_in = 0.0 if counted is None else ROW_GAP_IN + CONFUSION_IN
    figure = io_utils.new_page(end_in + confusion_in + io_utils.BOTTOM_IN)
    if remarks := _list_remarks(history, spectra):
        io_utils.write_remark(figure, "; ".join(remarks))
    for column, prefix in enumerate(prefixes):
        label = RESIDUAL_LABELS[prefix]
        axes = io_utils.add_panel(figure, column, first_in, CURVES_IN, y_label=label)
        _draw_curves(axes, history, prefix)
    for number, spectrum in enumerate(spectra):
        top_in = first_in + CURVES_IN + ROW_GAP_IN + number * row_in
        _draw_spectrum(figure, top_in, spectrum, find_units(history.arrays))
        _draw_residual(figure, top_in, spectrum, history)
    if counted is not None:
        axes = io_utils.add_panel(figure, 0, end_in + ROW_GAP_IN, CONFUSION_IN, y_label="true type")
        _widen(axes)
        draw_confusion(axes, history.arrays, counted)
    return figure


def _list_remarks(history: History, spectra: Sequence[Spectrum]) -> list[str]:
    """Return the notes on all panels."""
    remarks = [MATCHED] if history.matching == "event" else []
    return remarks + ([SPIKES] if any(has_spikes(one.true, one.rec) for one in spectra) else [])


def has_spikes(true: NDArray[np.integer], rec: NDArray[np.integer]) -> bool:
    """Say whether neighbouring bins of a reconstruction differ far more than those of the truth."""
    return _measure_roughness(rec) > 2 * _measure_roughness(true) + LEAST_ROUGHNESS


def _measure_roughness(counts: NDArray[np.integer]) -> float:
    """Return the mean distance of a bin from the mean of its neighbours, as a share of all objects."""
    inner = counts[1:-1].astype(float)
    distances = np.abs(inner[1:-1] - 0.5 * (inner[:-2] + inner[2:]))
    return float(distances.sum() / max(inner.sum(), 1.0))


def _widen(axes: Axes) -> None:
    """Let a panel of the left column reach to the right edge of the page, with room for numbers beside it."""
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, WIDE_END - box.x0, box.height))
    axes.yaxis.set_label_coords(-io_utils.LABEL_IN / (io_utils.PAGE_COLUMNS * io_utils.COLUMN_WIDTH_IN * WIDE_END), 0.5)


def describe_feature(feature: str, units: Mapping[str, str]) -> tuple[str, str]:
    """Return symbol and unit of a feature; `units` has those of further columns."""
    if feature in FEATURES:
        return FEATURES[feature]
    name, unit = feature.replace("_", r"\_"), units.get(feature, "1")
    return rf"\mathrm{{{name}}}", "" if unit == "1" else unit.replace("$", "")


def find_units(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return the units of further columns, which the arrays of a run name."""
    return {name.removeprefix(UNIT): str(value) for name, value in arrays.items() if name.startswith(UNIT)}


def label_feature(feature: str, units: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the symbol and unit of a feature."""
    symbol, unit = describe_feature(feature, units)
    return f"${symbol}$ [{unit}]" if unit else f"${symbol}$"


def label_residual(feature: str, units: Mapping[str, str]) -> str:
    """Return the formula of the residual of a feature, with its unit."""
    symbol, unit = describe_feature(feature, units)
    difference = rf"{symbol}^\mathrm{{\,rec}} - {symbol}^\mathrm{{\,true}}"
    if feature in RELATIVE_FEATURES:
        return rf"$({difference})\,/\,{symbol}^\mathrm{{\,true}}$"
    return f"${difference}$ [{unit}]" if unit else f"${difference}$"


def _list_features(history: History, prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in history.names("val") if name.startswith(prefix)]


def _list_spectra(history: History) -> list[Spectrum]:
    arrays = history.arrays
    split = next((split for split in SPLITS if any(name.startswith(f"{split}_hist_") for name in arrays)), None)
    if split is None:
        return []
    features = [name.removeprefix("edges_") for name in arrays if name.startswith("edges_")]
    return [
        Spectrum(
            feature,
            split,
            arrays[f"edges_{feature}"],
            arrays[f"edges_{feature}_residual"],
            *(arrays[f"{split}_hist_{feature}_{kind}"] for kind in ("true", "rec", "residual")),
        )
        for feature in features
        if not feature.endswith("_residual")
    ]


def _draw_curves(axes: Axes, history: History, prefix: str) -> None:
    """Draw the residuals of the validation split, the only one they are measured on in every epoch."""
    for feature in _list_features(history, prefix):
        symbol, unit = describe_feature(feature, find_units(history.arrays))
        kind = "rel." if feature in RELATIVE_FEATURES else unit
        io_utils.draw_epochs(
            axes,
            history.epochs,
            history.series("val", prefix + feature),
            split="val",
            label=f"${symbol}$ [{kind}]" if kind else f"${symbol}$",
            colour=io_utils.choose_colour(feature),
        )
    # By the quantity, not by its values: the axes of two runs can be compared.
    if prefix == "median_":
        axes.axhline(0.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
    else:
        scales.use_log_scale(axes)
    io_utils.label_x(axes, "epoch")
    io_utils.draw_legend(axes)


def _draw_spectrum(figure: Figure, top_in: float, spectrum: Spectrum, units: Mapping[str, str]) -> None:
    """Draw truth and reconstruction of one feature, and their ratio beneath."""
    axes = io_utils.add_panel(figure, 0, top_in, SPECTRUM_IN, y_label="objects / bin")
    ratio = io_utils.add_panel(figure, 0, top_in + SPECTRUM_IN + RATIO_GAP_IN, RATIO_IN, y_label="rec./true")
    truth_colour, colour = io_utils.choose_colour("truth"), io_utils.choose_colour(spectrum.split)
    true, rec = spectrum.true[1:-1], spectrum.rec[1:-1]
    axes.stairs(true, spectrum.edges, fill=True, color=truth_colour, label=f"truth ({spectrum.split})")
    axes.stairs(rec, spectrum.edges, color=colour, linewidth=1.2, label="reconstruction")
    io_utils.draw_legend(axes)
    _scale_counts(axes, spectrum)
    if note := _describe_outside(("truth", spectrum.true), ("rec.", spectrum.rec)):
        io_utils.write_note(axes, note)
    _draw_ratio(ratio, spectrum)
    for panel in (axes, ratio):
        if spectrum.feature in LOG_FEATURES:
            scales.set_log_x_scale(panel)
        if spectrum.feature not in FEATURES:
            panel.locator_params(axis="x", nbins=5)
        panel.set_xlim(spectrum.edges[0], spectrum.edges[-1])
    axes.tick_params(labelbottom=False)
    io_utils.label_x(ratio, label_feature(spectrum.feature, units))


def _scale_counts(axes: Axes, spectrum: Spectrum) -> None:
    largest = max(int(spectrum.true[1:-1].max()), int(spectrum.rec[1:-1].max()), 1)
    if spectrum.feature in FALLING:
        axes.set_ylim(0.5, 20 * largest)
        scales.set_log_scale(axes, float(largest))
    else:
        axes.set_ylim(0, 1.35 * largest)


def _draw_ratio(axes: Axes, spectrum: Spectrum) -> None:
    """Draw reconstruction over truth with the statistical error of the truth; arrows mark points outside the axis."""
    true, rec = spectrum.true[1:-1].astype(float), spectrum.rec[1:-1].astype(float)
    known = np.where(true > 0, true, np.nan)
    ratio, error = rec / known, 1 / np.sqrt(known)
    truth_colour = io_utils.choose_colour("truth")
    axes.stairs(1 + error, spectrum.edges, baseline=1 - error, fill=True, color=truth_colour, alpha=0.6)
    axes.stairs(ratio, spectrum.edges, baseline=None, color=io_utils.choose_colour(spectrum.split), linewidth=1.2)
    axes.axhline(1.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
    is_narrow = np.all(np.abs(ratio[true >= POPULATED] - 1) <= NARROW_RATIO)
    reach = NARROW_RATIO if is_narrow else WIDE_RATIO
    axes.set_ylim(1 - reach, 1 + reach)
    axes.set_yticks([1 - reach / 2, 1, 1 + reach / 2])
    _mark_outside(axes, spectrum, ratio, reach)


def _mark_outside(axes: Axes, spectrum: Spectrum, ratio: NDArray[np.floating], reach: float) -> None:
    centres = 0.5 * (spectrum.edges[1:] + spectrum.edges[:-1])
    for is_outside, marker, height in (
        (ratio > 1 + reach, "^", 1 + 0.85 * reach),
        (ratio < 1 - reach, "v", 1 - 0.85 * reach),
    ):
        heights = np.full(int(is_outside.sum()), height)
        axes.plot(centres[is_outside], heights, marker, markersize=2.5, color=io_utils.choose_colour(spectrum.split))


def _describe_outside(*histograms: tuple[str, NDArray[np.integer]]) -> str:
    """Return a text with the shares of underflow and overflow, empty when there are none."""
    shares = [(name, 100 * (counts[0] + counts[-1]) / max(int(counts.sum()), 1)) for name, counts in histograms]
    if all(share == 0 for _, share in shares):
        return ""
    return "outside: " + ", ".join(f"{name} {share:.2g}%" for name, share in shares)


def _draw_residual(figure: Figure, top_in: float, spectrum: Spectrum, history: History) -> None:
    axes = io_utils.add_panel(figure, 1, top_in, SPECTRUM_IN + RATIO_GAP_IN + RATIO_IN, y_label="objects / bin")
    axes.stairs(
        spectrum.residual[1:-1],
        spectrum.residual_edges,
        color=io_utils.choose_colour(spectrum.split),
        linewidth=1.2,
        label=_describe_residual(spectrum, history),
    )
    axes.axvline(0.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
    io_utils.keep_ticks_inside(axes, spectrum.residual_edges[0], spectrum.residual_edges[-1])
    axes.set_ylim(0, 1.2 * max(int(spectrum.residual[1:-1].max()), 1))
    if note := _describe_outside((spectrum.split, spectrum.residual)):
        io_utils.write_note(axes, note)
    io_utils.label_x(axes, label_residual(spectrum.feature, find_units(history.arrays)))
    io_utils.draw_legend(axes)


def _describe_residual(spectrum: Spectrum, history: History) -> str:
    """Return median and width of a residual as they were recorded."""
    median, width = (_find_number(history, spectrum.split, kind + spectrum.feature) for kind in ("median_", "width68_"))
    return f"{spectrum.split}: median {median:.2g}, 68% half-width {width:.2g}"


def _find_number(history: History, split: str, name: str) -> float:
    if split == "test":
        return history.test.get(name, math.nan)
    if history.best_epoch not in history.epochs:
        return math.nan
    return history.series(split, name)[history.epochs.index(history.best_epoch)]
