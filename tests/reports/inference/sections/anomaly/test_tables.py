"""What a report says of scores with known answers: sentences, flags, tables, figures and files."""

import csv
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from thesis_ml.reports.inference.sections.anomaly.section import summarise_scores
from thesis_ml.reports.inference.sections.anomaly.verdicts import describe_problem, find_viewer

from scored_splits import make_split
from thesis_ml.errors import ConfigError
from thesis_ml.metrics.bootstrap import Estimate
from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.contents import ResultTable, Section
from thesis_ml.reports.inference.config import Rates
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly import result as solved
from thesis_ml.reports.inference.sections.anomaly.measure import Measurement
from thesis_ml.reports.inference.sections.anomaly.problems import list_problems
from thesis_ml.reports.inference.sections.anomaly.result import ProblemResult, check_rates, holds_multiplicity
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.utils.table import MissingFigure, Table

STYLES = {"vq": choose_style(0), "none": choose_style(1)}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = solved.measure_problem
    monkeypatch.setattr(
        solved, "measure_problem", lambda problem, columns, generator, _: measure(problem, columns, generator, 20)
    )


def find_table(sections: tuple[Section, ...], name: str) -> ResultTable:
    return next(table for section in sections for table in section.tables if table.name == name)


def list_rows(table: ResultTable) -> list[dict[str, Cell]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def list_texts(sections: tuple[Section, ...]) -> str:
    """Everything that is read on the page."""
    texts: list[object] = []
    for section in sections:
        texts += [section.title, *section.sentences, *section.details, *section.flags]
        for table in section.tables:
            texts += [table.title, table.note, *table.columns, *(cell for row in table.rows for cell in row)]
        texts += [figure.title for figure in section.figures]
    return "\n".join(map(str, texts))


def test_best_score_stands_beside_the_best_variable() -> None:
    sections = summarise_scores(make_split(3000))

    sentence = next(text for text in sections[0].sentences if text.startswith("ttH against the rest"))
    assert "error_mean of" in sentence and "best of 4 scores" in sentence and "without a model ht has 0." in sentence
    row = list_rows(find_table(sections, "best_scores"))[0]
    assert row["problem"] == "ttH against the rest"
    assert row["auroc"] == pytest.approx(norm.cdf(1 / math.sqrt(2)), abs=0.04)
    assert row["difference to it"] == pytest.approx(row["auroc"] - row["auroc without"])


def test_about_one_half_is_said_to_be_legitimate() -> None:
    scored = make_split(3000, groups=("vq",))
    table = {
        key: {name: np.random.default_rng(len(name)).normal(size=3000) for name in scores}
        if key[0] != "trivial"
        else scores
        for key, scores in scored.table.items()
    }

    sections = summarise_scores(replace(scored, table=table))

    sentence = next(text for text in sections[0].sentences if text.startswith("ttH against the rest"))
    assert "no score of a model sees it" in sentence and "legitimate result" in sentence


def replace_scores(scored: EventScores, scorer: str, values: dict[str, float]) -> EventScores:
    """The split with a scorer whose every score has this mean in each variant."""
    generator = np.random.default_rng(7)
    table = {
        key: {name: values.get(key[1], 0.0) + generator.normal(size=len(column)) for name, column in scores.items()}
        if key[0] == scorer
        else scores
        for key, scores in scored.table.items()
    }
    return replace(scored, table=table)


@pytest.mark.parametrize(
    ("of_model", "of_variable", "expected"),
    [
        (2.0, 0.0, "Changes that a score of a model sees best, with its AUROC: lost_object 0.2 ("),
        (2.0, 4.0, "Changes that a variable without a model sees as well or better: lost_object 0.2 ("),
        (0.0, 2.0, "Changes that a variable without a model sees as well or better: lost_object 0.2 ("),
        (0.0, 0.0, "Changes that nothing sees: lost_object 0.2. An AUROC of about 0.5 is a legitimate result."),
    ],
)
def test_one_sentence_says_who_sees_which_change(of_model: float, of_variable: float, expected: str) -> None:
    scored = make_split(6000, groups=("vq",))
    scored = replace_scores(scored, "vq, seed 0", {"lost_object 0.2": of_model})
    scored = replace_scores(scored, "trivial", {"lost_object 0.2": of_variable})

    section = summarise_scores(scored)[0]

    (sentence,) = [text for text in section.sentences if text.startswith("Changes that")]
    assert sentence.startswith(expected)
    assert any(text.startswith("lost_object at strength 0.2: ") for text in section.details)


def shift_scores(shift: float, n_events: int = 6000) -> EventScores:
    """Three scores of a model, all of which a signal shifts alike, beside variables that see nothing."""
    scored = make_split(n_events, groups=("vq",))
    generator = np.random.default_rng(7)
    table = dict(scored.table)
    table["vq, seed 0", "clean"] = {
        name: generator.normal(size=n_events) + shift * scored.labels
        for name in ("error_mean", "error_max", "code_mean")
    }
    table["trivial", "clean"] = {name: generator.normal(size=n_events) for name in ("multiplicity", "ht")}
    return replace(scored, table=table, variants=[])


@pytest.mark.parametrize(
    ("shift", "expected", "is_legitimate"),
    [
        (-9.0, "scores of models are low for signal: the lowest, .* has AUROC 0.0000 .* below background", False),
        (-0.17, r"scores of models are low for signal: the lowest, \S+ of vq has AUROC 0\.4\d", False),
        (0.0, "no score of a model sees it; the best, .* has AUROC 0.5", True),
    ],
)
def test_low_scores_are_not_about_one_half(shift: float, expected: str, is_legitimate: bool) -> None:
    section = summarise_scores(shift_scores(shift))[0]

    (sentence,) = [text for text in section.sentences if text.startswith("ttH against the rest")]
    assert re.search(expected, sentence), sentence
    assert ("about 0.5 is a legitimate result" in sentence) == is_legitimate


def test_low_scores_of_a_change_are_said_to_be_low() -> None:
    scored = make_split(6000, groups=("vq",))
    scored = replace_scores(scored, "vq, seed 0", {"lost_object 0.2": -3.0})
    scored = replace_scores(scored, "trivial", {})

    section = summarise_scores(scored)[0]

    (sentence,) = [text for text in section.sentences if text.startswith("Changes that")]
    assert sentence.startswith("Changes that nothing sees by a high score, with the lowest AUROC: lost_object 0.2 (")
    assert "legitimate" not in sentence


def make_solved(model: float, variable: float, error: float = 0.002, difference_error: float = 0.004) -> ProblemResult:
    """A problem of one score and one variable with these AUROCs."""
    problem = next(one for one in list_problems(make_split(30)) if one.kind == "label")
    noise = np.random.default_rng(0).normal(size=200)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * difference_error
    measured = [
        Measurement(
            group, "ht", Estimate(value, error, value, value), (value,), (), (), np.zeros((1, 0)), np.zeros(0), areas
        )
        for group, value, areas in (("vq", model, noise), (BASELINE, variable, 0 * noise))
    ]
    return ProblemResult(problem, measured, ())


@pytest.mark.parametrize(
    ("model", "variable", "viewer", "words"),
    [
        (0.5202, 0.5194, "variable", "these two cannot be told apart"),
        (0.5194, 0.5202, "variable", "these two cannot be told apart"),
        (0.56, 0.5194, "model", "the model sees more, by 0.041"),
        (0.56, 0.503, "model", "no variable without a model sees it"),
        (
            0.516,
            0.5,
            "hardly",
            "hardly seen .AUROC below 0.52.: the best score of a model, ht of vq, has 0.516",
        ),
        (0.5, 0.516, "hardly", "without a model ht has 0.516"),
        (0.503, 0.5, "nobody", "about 0.5 is a legitimate result"),
        (0.3, 0.5, "low", "the lowest, ht of vq has AUROC 0.300"),
    ],
)
def test_the_difference_decides_who_sees_a_signal(model: float, variable: float, viewer: str, words: str) -> None:
    both = make_solved(model, variable)

    assert find_viewer(both)[0] == viewer
    assert re.search(words, describe_problem(both)), describe_problem(both)


@pytest.mark.parametrize("value", [0.47, 0.55])
def test_an_auroc_that_its_error_leaves_open_is_neither_seen_nor_one_half(value: float) -> None:
    sentence = describe_problem(make_solved(value, 0.5, error=0.03))

    assert f"no score of a model sees it; the best, ht of vq, has AUROC {value:.3f} ± 0.030: these errors" in sentence
    assert "legitimate" not in sentence


def test_changes_that_empty_most_events_are_said_at_once() -> None:
    scored = make_split()
    table = dict(scored.table)
    table["trivial", "lost_object 0.4"] = {name: np.zeros(1200) for name in table["trivial", "lost_object 0.4"]}

    few, most = (summarise_scores(one)[0].sentences for one in (scored, replace(scored, table=table)))

    assert not any("without any object" in text for text in few)
    assert any("Most events are left without any object by lost_object 0.4 800 of 800:" in text for text in most)


def test_events_that_models_were_trained_on_are_a_flag() -> None:
    flags = summarise_scores(make_split(channel="train", training={}))[0].flags

    assert any(text.startswith("The training split is scored") for text in flags)
    assert not any("training split is scored" in text for text in summarise_scores(make_split())[0].flags)


@pytest.mark.parametrize("n_events", [2, 19])
def test_too_few_events_say_so_and_fail_no_null(n_events: int) -> None:
    scored = make_split(n_events)
    table = {
        key: {name: values + (key == ("vq, seed 0", "phi_rotation")) for name, values in scores.items()}
        for key, scores in scored.table.items()
    }

    section = summarise_scores(replace(scored, table=table))[0]

    assert not any(text.startswith("Null of") for text in section.flags)
    assert any("are too few to check all nulls" in text for text in section.sentences)
    assert any(text.startswith("Too few events to say who sees") for text in section.sentences)
    assert not any("Changes" in text for text in section.sentences)


def test_what_was_trained_on_is_no_anomaly() -> None:
    clean = summarise_scores(make_split())
    scored = make_split()
    models = [replace(model, train_classes=None) for model in scored.models]
    held = summarise_scores(replace(scored, models=models))

    assert clean[0].title == "Anomaly detection"
    assert not any("held ttH" in flag for flag in clean[0].flags)
    assert "anomal" not in list_texts(held).lower()
    assert any("training split of vq and none held ttH" in flag for flag in held[0].flags)


def test_a_signal_file_whose_class_was_trained_on_is_found_by_its_name() -> None:
    scored = make_split()
    signal = {
        name: {key: values[:90] + 1.0 for key, values in scored.table[name, "clean"].items()}
        for name, variant in scored.table
        if variant == "clean"
    }

    new = summarise_scores(replace(scored, signal=signal, signal_classes=("tttt",)))
    known = summarise_scores(replace(scored, signal=signal, signal_classes=("ttbar", "tttt")))

    assert (new[0].name, new[0].title, known[0].name) == ("scores", "Anomaly detection", "scores")
    assert any("the class of the signal file" in flag for flag in known[0].flags)
    row = next(row for row in list_rows(find_table(new, "best_scores")) if "signal_file" in str(row["problem"]))
    assert row["auroc"] > 0.6


@pytest.mark.parametrize(
    ("signal_classes", "label_names"),
    [(("tttt",), {}), ((None,), {0: "ttbar", 1: "ttH"}), (("tttt", None), {0: "ttbar"}), ((), {0: "ttbar"})],
)
def test_classes_without_names_may_have_been_trained_on(
    signal_classes: tuple[str | None, ...], label_names: dict[int, str]
) -> None:
    scored = make_split()
    signal = {model.name: scored.table[model.name, "clean"] for model in scored.models}
    nameless = replace(scored, signal=signal, signal_classes=signal_classes, label_names=label_names)

    sections = summarise_scores(nameless)

    (flag,) = [text for text in sections[0].flags if "signal_file" in text]
    assert flag.startswith("Whether the training split of vq and none held the class of inference.signal_file cannot")
    assert "write the attribute label_meaning" in flag
    assert "anomal" not in list_texts(sections).lower()
    assert sections[0].summary["problems"]["signal_file"]["contamination_unknown"] == ["vq", "none"]


@pytest.mark.parametrize(
    ("score", "holds"),
    [("error_sum", True), ("latent_mixture", True), ("latent_neighbours", True), ("error_mean", False)],
)
def test_sums_and_densities_of_latents_contain_the_multiplicity(score: str, holds: bool) -> None:
    assert holds_multiplicity(score) == holds


def test_failed_null_is_a_flag() -> None:
    scored = make_split()
    table = dict(scored.table)
    table["vq, seed 0", "phi_rotation"] = {name: values + 0.5 for name, values in table["vq, seed 0", "clean"].items()}

    sections = summarise_scores(replace(scored, table=table))

    (flag,) = [text for text in sections[0].flags if text.startswith("Null of")]
    assert "Null of vq, seed 0: it tells events turned about the beam (error_mean 0.6" in flag
    assert list_rows(find_table(sections, "nulls"))[0]["outcome"] == "FAILS"


def test_sums_and_scores_that_count_objects_are_said_to() -> None:
    sections = summarise_scores(make_split())

    rows = list_rows(find_table(sections, "scores_ttH"))
    remarks = {(row["group"], row["score"]): row["remark"] for row in rows}
    assert "contains the multiplicity" in str(remarks["vq", "error_sum"])
    assert "counts objects" in str(remarks["vq", "error_sum"])
    assert remarks["vq", "error_mean"] == ""
    assert any("mostly count objects" in text and "error_sum of vq" in text for text in sections[0].sentences)
    assert [row["group"] for row in rows[-3:]] == ["trivial"] * 3


def test_fewer_than_ten_background_events_are_no_number() -> None:
    sections = summarise_scores(make_split())

    row = list_rows(find_table(sections, "scores_ttH"))[0]
    assert row["eps_S at eps_B 0.01 (n)"] == "n < 10"
    assert row["eps_S/sqrt(eps_B) at 0.0001"] == "n < 10"
    assert "±" in str(row["1/eps_B at eps_S 0.3 (n)"])


def test_dark_machines_table_is_that_of_the_challenge() -> None:
    files = summarise_scores(make_split(4000, channel="val"))[0].files

    rows = list(csv.DictReader(io.StringIO(files["dark_machines.csv"])))
    assert list(rows[0]) == ["Signal", "Model", "Chan", "AUC", "1e-2", "1e-3", "1e-4"]
    row = next(row for row in rows if (row["Signal"], row["Model"]) == ("ttH", "vq error_mean"))
    assert row["Chan"] == "val" and 0.7 < float(row["AUC"]) < 0.8
    assert 0.01 < float(row["1e-2"]) < 0.2
    assert row["1e-4"] == ""
    assert len(list(csv.DictReader(io.StringIO(files["working_points.csv"])))) == len(rows) * 5


def test_emptied_events_are_counted() -> None:
    scored = make_split(1200)

    sections = summarise_scores(scored)

    expected = int(((np.arange(1200) % 10 == 0) & (scored.labels == 0)).sum())
    assert f"lost_object 0.1 {expected} of 800" in " ".join(sections[0].details)
    assert list_rows(find_table(sections, "best_scores"))[1]["events emptied"] in (0, expected)


def test_seeds_are_one_row_with_their_spread_and_pairs_have_a_verdict() -> None:
    sections = summarise_scores(make_split(1200, n_seeds=3))

    row = next(row for row in list_rows(find_table(sections, "scores_ttH")) if row["group"] == "vq")
    assert row["seeds"] == 3 and row["sd over seeds"] > 0
    outcomes = {row["outcome"] for row in list_rows(find_table(sections, "pairs_of_models"))}
    assert outcomes <= {"distinguishable", "cannot be told apart", "cannot be told apart: seeds differ as much"}
    assert any("models compared" in text for text in sections[0].sentences)


def test_expected_events_need_the_cross_sections_of_all_labels() -> None:
    both = summarise_scores(make_split(rates=Rates({"ttbar": 10.0, "1": 0.1}, 3.0)))
    one = summarise_scores(make_split(rates=Rates({"ttH": 0.1}, 3.0)))

    row = list_rows(find_table(both, "expected_events"))[0]
    assert row["signal"] == "n < 10" or row["signal"] > 0
    uncut = next(row for row in list_rows(find_table(both, "expected_events")) if row["eps_B"] == 1.0)
    assert (uncut["signal"], uncut["background"]) == pytest.approx((300.0, 30000.0))
    assert uncut["S/sqrt(B)"] == pytest.approx(300 / math.sqrt(30000))
    assert uncut["error of background"] == 0
    assert "expected_events" not in {table.name for table in one[0].tables}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tth": 0.1}, "unknown name 'tth'; available: .*did you mean 'ttH'"),
        ({"ttbar": 1.0, "0": 2.0}, "'ttbar' and '0' are the same label; give one of them"),
        ({"ttbar": 1.0}, "no value for ttH, signal_file; give every label of the events one"),
    ],
)
def test_every_label_has_one_cross_section(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^inference.cross_sections_pb: {message}"):
        check_rates(Rates(values, 3.0), np.array([0, 1, 1]), {0: "ttbar", 1: "ttH"}, has_signal_file=True)


def test_every_figure_is_drawn_from_its_table() -> None:
    sections = summarise_scores(make_split(1500))

    figures = [figure for section in sections for figure in section.figures]
    assert {"correlations", "nulls", "roc_ttH", "scan_lost_object", "roc_lost_object_0_2"} == {
        one.name for one in figures
    }
    for figure in figures:
        assert isinstance(figure.table, Table)
        drawn = figure.draw(figure.table, STYLES)
        assert drawn.axes and all(axes.has_data() for axes in drawn.axes)


def test_scan_of_one_strength_says_why_it_is_not_drawn() -> None:
    scored = make_split()
    variants = [variant for variant in scored.variants if variant.name in ("lost_object 0.2", "phi_rotation")]

    sections = summarise_scores(replace(scored, variants=variants))

    scan = next(figure for section in sections for figure in section.figures if figure.name == "scan_lost_object")
    assert scan.table == MissingFigure("a scan needs two strengths")


def test_of_two_labels_the_one_that_was_not_trained_on_is_signal_and_of_three_each() -> None:
    scored = make_split()
    three = np.where(np.arange(1200) % 5 == 0, 2, scored.labels)

    def list_labels(some: EventScores) -> list[str]:
        return [problem.name for problem in list_problems(some) if problem.kind == "label"]

    assert list_labels(scored) == ["ttH"]
    assert list_labels(replace(scored, background=(1,))) == ["ttbar"]
    assert list_labels(replace(scored, labels=three)) == ["ttbar", "ttH", "label 2"]
    assert list_labels(replace(scored, labels=np.zeros(1200, dtype=np.int64))) == []


@pytest.mark.parametrize("n_events", [1, 2, 5])
def test_hardly_any_events_are_survived(n_events: int) -> None:
    sections = summarise_scores(make_split(n_events))

    for figure in (figure for section in sections for figure in section.figures):
        if isinstance(figure.table, Table):
            figure.draw(figure.table, STYLES)
    assert sections[0].sentences
