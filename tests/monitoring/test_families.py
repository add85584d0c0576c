"""Every plot family, drawn from a history of three epochs."""

import importlib
from dataclasses import fields, replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from monitoring.histories import make_histograms, make_history
from thesis_ml.facts.history import build_history
from thesis_ml.facts.schema import EpochFacts
from thesis_ml.monitoring.config import FamilySwitches
from thesis_ml.monitoring.families import FAMILIES
from thesis_ml.monitoring.families.codebook import draw_codebook
from thesis_ml.monitoring.families.latency import draw_latency
from thesis_ml.monitoring.families.losses import draw_losses
from thesis_ml.monitoring.families.metrics import draw_metrics
from thesis_ml.monitoring.families.recon import draw_recon
from thesis_ml.monitoring.io_utils import NAME_COLOURS, SPLIT_COLOURS, choose_colour


def find_draw(family: str):
    module, function = FAMILIES[family].split(":")
    return getattr(importlib.import_module(module), function)


def list_labels(figure: Figure) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_epochs", [1, 3])
def test_family_labels_every_axis(family: str, n_epochs: int) -> None:
    figure = find_draw(family)(make_history(n_epochs))

    assert all(axes.get_ylabel() for axes in figure.axes)
    assert figure.axes[-1].get_xlabel()


@pytest.mark.parametrize("family", FAMILIES)
def test_family_draws_nothing_before_the_first_epoch(family: str) -> None:
    assert find_draw(family)(build_history([])) is None


@pytest.mark.parametrize(
    ("family", "splits"),
    [
        ("losses", {"train", "val", "test"}),
        ("metrics", {"train", "val", "test"}),
        ("codebook", {"train", "val", "test"}),
        ("latency", {"train"}),
    ],
)
def test_family_draws_splits_in_the_same_colours(family: str, splits: set[str]) -> None:
    figure = find_draw(family)(make_history())
    lines = [line for axes in figure.axes for line in axes.get_lines() if line.get_label() in SPLIT_COLOURS]

    assert {line.get_label() for line in lines} == splits
    assert all(to_hex(line.get_color()).upper() == SPLIT_COLOURS[line.get_label()] for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_family_keeps_legends_inside_the_figure_and_off_the_data(family: str) -> None:
    figure = find_draw(family)(make_history(20))
    figure.canvas.draw()

    for axes in figure.axes:
        if (legend := axes.get_legend()) is not None:
            box = legend.get_window_extent()
            assert box.y0 >= axes.get_window_extent().y1
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_families_are_those_that_can_be_switched() -> None:
    assert set(FAMILIES) == {field.name for field in fields(FamilySwitches)}


def test_colours_differ_between_splits_and_between_terms() -> None:
    assert len(set(SPLIT_COLOURS.values())) == len(SPLIT_COLOURS)
    assert not set(SPLIT_COLOURS.values()) & set(NAME_COLOURS.values())


def test_colour_of_an_unlisted_name_is_always_the_same() -> None:
    assert choose_colour("my_term") == "#117733"


def test_losses_are_logarithmic_only_over_more_than_a_decade() -> None:
    short, long = draw_losses(make_history(3)), draw_losses(make_history(20))

    assert short.axes[0].get_yscale() == "linear"
    assert long.axes[0].get_yscale() == "log"


def test_losses_show_each_term_once_and_no_metric() -> None:
    figure = draw_losses(make_history())

    terms = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert terms == ["rec_tokens", "rec_types", "rec_globals", "commit"]


def test_losses_of_a_loop_without_terms_are_one_panel() -> None:
    epoch = EpochFacts(
        epoch=0,
        step=1,
        metrics={"train": {"loss": 1.0}, "val": {"loss": None}},
        epoch_time_s=1.0,
        total_time_s=1.0,
        throughput=1.0,
    )

    assert list_labels(draw_losses(build_history([epoch]))) == ["loss"]


def test_metrics_leave_what_other_families_draw_to_them() -> None:
    labels = list_labels(draw_metrics(make_history()))

    assert labels == ["type accuracy", "learning rate"]


def test_recon_draws_residuals_per_epoch_until_there_are_histograms() -> None:
    labels = list_labels(draw_recon(make_history(is_tested=False)))

    assert labels == ["68% half-width (val)", "median residual (val)"]


@pytest.mark.parametrize("feature", ["E", "pt", "eta", "phi", "mass"])
def test_recon_draws_truth_ratio_and_residual_of_every_feature_with_units(feature: str) -> None:
    history = make_history()
    figure = draw_recon(replace(history, arrays=make_histograms("test", [feature])))

    spectrum, ratio, residual = figure.axes[2:]
    assert [axes.get_ylabel() for axes in (spectrum, ratio, residual)] == [
        "objects / bin",
        "rec./true",
        "objects / bin",
    ]
    assert ratio.get_xscale() == spectrum.get_xscale() == ("log" if feature in ("E", "pt") else "linear")
    assert ("[GeV]" in ratio.get_xlabel()) == (feature in ("E", "pt", "mass"))
    assert ("[rad]" in ratio.get_xlabel()) == ("[rad]" in residual.get_xlabel()) == (feature == "phi")


@pytest.mark.parametrize("n_epochs", [1, 3])
def test_recon_chooses_scales_by_quantity_so_that_runs_can_be_compared(n_epochs: int) -> None:
    widths, medians = draw_recon(make_history(n_epochs, is_tested=False)).axes[:2]

    assert (widths.get_yscale(), medians.get_yscale()) == ("log", "linear")
    assert len([tick for tick in widths.get_yticks() if np.prod(widths.get_ylim() - tick) <= 0]) >= 2


def test_recon_explains_spikes_of_few_codes_alone() -> None:
    smooth = make_histograms("test", ["eta"])
    comb = dict(smooth)
    comb["test_hist_eta_rec"] = np.where(np.arange(42) % 2, 2 * comb["test_hist_eta_rec"], 0)

    remarks = [
        {text.get_text() for text in draw_recon(replace(make_history(), arrays=arrays)).texts}
        for arrays in (smooth, comb)
    ]

    assert remarks == [{"Simulation"}, {"Simulation", "spikes: values of single codes"}]


def test_recon_fills_the_truth_and_steps_the_reconstruction() -> None:
    spectrum, ratio = draw_recon(make_history()).axes[2:4]
    truth, reconstruction = spectrum.patches

    assert truth.get_fill() and not reconstruction.get_fill()
    assert to_hex(truth.get_facecolor()).upper() == NAME_COLOURS["truth"]
    assert to_hex(reconstruction.get_edgecolor()).upper() == SPLIT_COLOURS["test"]
    assert ratio.patches[1].get_data().values == pytest.approx(0.9, abs=0.06)


def test_recon_says_what_lies_outside_the_bins() -> None:
    spectrum, _, residual = draw_recon(make_history()).axes[2:5]

    assert [text.get_text() for text in spectrum.texts] == ["outside: truth 0.015%, rec. 0.017%"]
    assert len(residual.texts) == 0


def test_recon_draws_the_validation_split_before_the_test() -> None:
    history = replace(make_history(), test={}, arrays=make_histograms("val", ["pt"]))
    spectrum, _, residual = draw_recon(history).axes[2:]

    assert spectrum.get_legend().get_texts()[0].get_text() == "truth (val)"
    width = history.series("val", "width68_pt")[-1]
    assert residual.get_legend().get_texts()[0].get_text().endswith(f"68% half-width {width:.2g}")


def test_recon_draws_histograms_without_a_single_object() -> None:
    arrays = {name: 0 * array if "hist" in name else array for name, array in make_histograms("test").items()}

    draw_recon(replace(make_history(), arrays=arrays)).canvas.draw()


def make_confusion(names: list[str]) -> dict[str, np.ndarray]:
    """Return the confusion of three types, the last of which hardly occurs."""
    counts = np.array([[998, 2, 0], [100_000, 300_000, 0], [4, 0, 5]])
    return {"test_type_confusion": counts, "type_names": np.array(names)}


def test_recon_draws_the_confusion_of_types_with_the_number_of_objects() -> None:
    arrays = make_confusion(["jet", "b-jet", "photon"])
    panel = draw_recon(replace(make_history(), arrays=make_histograms("test", ["pt"]) | arrays)).axes[-1]

    written = [text.get_text() for text in panel.texts]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted type", "true type")
    assert [label.get_text() for label in panel.get_yticklabels()] == ["jet", "b-jet", "photon"]
    assert written == ["1,000", "99.8", "0.2", "0", "400,000", "25.0", "75.0", "0", "n < 10", written[-1]]
    assert "test: share of each true type [%]" in written[-1]


@pytest.mark.parametrize("names", [["a"], ["$x", r"$\frac$", "y" * 99]])
def test_recon_draws_the_confusion_whatever_the_types_are_called(names: list[str]) -> None:
    draw_recon(replace(make_history(), arrays=make_confusion(names))).canvas.draw()


def test_latency_shows_memory_only_where_it_is_measured() -> None:
    numbers = {"train": {"loss": 1.0}}
    epoch = EpochFacts(epoch=0, step=1, metrics=numbers, epoch_time_s=1.0, total_time_s=1.0, throughput=1.0)

    assert list_labels(draw_latency(build_history([epoch]))) == ["events/s", "time per epoch [s]"]
    assert list_labels(draw_latency(make_history()))[2] == "peak memory [MiB]"


def test_codebook_is_not_drawn_without_codes() -> None:
    epoch = EpochFacts(
        epoch=0, step=1, metrics={"val": {"loss": 1.0}}, epoch_time_s=1.0, total_time_s=1.0, throughput=1.0
    )

    assert draw_codebook(build_history([epoch])) is None


def test_codebook_sorts_the_usage_of_codes_on_a_logarithmic_axis() -> None:
    history = make_history()
    panel = draw_codebook(history).axes[-1]

    drawn = panel.get_lines()[0].get_ydata()
    assert panel.get_yscale() == "log"
    assert list(drawn) == sorted(history.arrays["test_codes"], reverse=True)


def test_codebook_draws_the_codes_of_every_quantiser_of_a_stack() -> None:
    history = make_history()
    rows = np.stack([history.arrays["test_codes"], history.arrays["test_codes"][::-1] // 2, np.arange(64)])
    panel = draw_codebook(replace(history, arrays={**history.arrays, "test_codes": rows})).axes[-1]

    drawn = [sorted(line.get_ydata()) for line in panel.get_lines()[:3]]
    assert drawn == [sorted(row[row > 0]) for row in rows]
    assert panel.get_legend_handles_labels()[1] == ["test, first of 3", "last", "uniform"]


def test_codebook_survives_counts_that_are_all_zero() -> None:
    epochs = [
        EpochFacts(
            epoch=0,
            step=1,
            metrics={"val": {"loss": 1.0, "perplexity": float("nan")}},
            epoch_time_s=1.0,
            total_time_s=1.0,
            throughput=1.0,
        )
    ]

    figure = draw_codebook(build_history(epochs, arrays={"test_codes": np.zeros(8, dtype=np.int64)}))

    figure.canvas.draw()
