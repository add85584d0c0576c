"""The page of a report holds everything it needs, in order, and texts of runs are nothing but text."""

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from thesis_ml.reports.plots.sections import draw_section
from thesis_ml.reports.utils.numbers import round_with_error

from comparisons import HOSTILE, make_comparison, make_run, summarise_groups
from thesis_ml.facts.history import build_history
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.contents import ResultFigure, ResultTable, Section
from thesis_ml.reports.page import MAX_SVG_BYTES, build_page, embed_image
from thesis_ml.reports.page.curves import MAX_POINTS, collect_curves
from thesis_ml.reports.page.tables import (
    format_number,
    list_tables,
    tabulate_groups,
    tabulate_left_out,
    tabulate_result,
)
from thesis_ml.reports.plots import DrawnFigure, choose_figures, draw_figures, explain_missing
from thesis_ml.reports.utils.escape import strip_controls
from thesis_ml.reports.utils.table import MissingFigure

PLAIN = tuple(chr(ord("g") + place) * len(strip_controls(name)) for place, name in enumerate(HOSTILE))
"""Harmless names of the same lengths."""

LARGEST_BYTES = 8_000_000


class Elements(HTMLParser):
    """All elements of a page with their attributes, and the texts of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[dict[str, str | None], str]] = []
        self._inside: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag
            self.raw.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = None if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            attrs, text = self.raw[-1]
            self.raw[-1] = (attrs, text + data)


def make_page(comparison: Comparison, names: Sequence[str] | None = ("rec_mse_curves",)) -> str:
    chosen = choose_figures(names)
    figures = draw_figures(comparison, chosen)
    return build_page(comparison, figures, missing=explain_missing(comparison, chosen), about={"Report": "report_x"})


@pytest.fixture(scope="module")
def hostile() -> Comparison:
    comparison = summarise_groups(make_comparison(9, 1, names=HOSTILE))
    runs = tuple(replace(run, overrides=(HOSTILE[4],), remarks=(HOSTILE[1],)) for run in comparison.runs)
    verdict = replace(comparison.verdict, sentences=HOSTILE, banners=HOSTILE)
    differences = {HOSTILE[1]: {run.name: HOSTILE[0] for run in runs}}
    return replace(comparison, runs=runs, verdict=verdict, config_differences=differences, inputs=HOSTILE)


@pytest.fixture(scope="module")
def page() -> str:
    return make_page(summarise_groups(make_comparison(9, 3)), None)


def test_parts_stand_in_order(page: str) -> None:
    sections = [attrs["id"] for tag, attrs in Elements(page).found if tag == "section"]

    assert sections == [
        "verdict",
        "groups",
        "tests",
        "runs",
        "left_out",
        "differences",
        "sources",
        "curves",
        "figures",
        "about",
    ]


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    elements = Elements(page)
    targets = [
        value
        for _, attrs in elements.found
        for name, value in attrs.items()
        if name in ("href", "src", "srcset", "action", "data", "poster")
    ]

    assert targets
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert "link" not in {tag for tag, _ in elements.found}
    assert not re.search(r"url\(|@import", page)


def test_policy_allows_the_scripts_and_styles_of_the_page_and_no_other(page: str) -> None:
    elements = Elements(page)
    policy = next(attrs["content"] for _, attrs in elements.found if "http-equiv" in attrs)
    texts = [text for attrs, text in elements.raw if attrs.get("type") != "application/json"]

    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert re.findall(r"'(sha256-[^']+)'", policy) == [hash_text(text) for text in texts]


def hash_text(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_every_figure_has_its_csv(page: str) -> None:
    comparison = summarise_groups(make_comparison(9, 3))
    links = {attrs["download"]: attrs["href"] for tag, attrs in Elements(page).found if "download" in attrs}

    for figure in draw_figures(comparison, choose_figures(None)):
        rows = read_embedded(links[f"{figure.name}.csv"])

        assert tuple(rows[0]) == figure.columns
        assert len(rows) == len(figure.rows) + 1


def read_embedded(uri: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(base64.b64decode(uri.split(",", 1)[1]).decode())))


def test_figures_that_were_not_drawn_are_listed_with_the_reason(page: str) -> None:
    assert "<code>curve_difference</code>: a difference is drawn between exactly two runs, these are 27" in page


def test_hostile_names_change_no_element_of_the_page(hostile: Comparison) -> None:
    plain = summarise_groups(make_comparison(9, 1, names=PLAIN))
    plain = replace(
        plain,
        runs=tuple(replace(run, overrides=(PLAIN[4],), remarks=(PLAIN[1],)) for run in plain.runs),
        verdict=replace(plain.verdict, sentences=PLAIN, banners=PLAIN),
        config_differences={PLAIN[1]: {run.name: PLAIN[0] for run in plain.runs}},
        inputs=PLAIN,
    )

    found, expected = (
        [(tag, sorted(attrs)) for tag, attrs in Elements(make_page(comparison)).found]
        for comparison in (hostile, plain)
    )

    assert found == expected


def test_hostile_names_are_shown_as_they_are(hostile: Comparison) -> None:
    page = make_page(hostile)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "\u202e" not in page
    page.encode("utf-8")


def test_hostile_names_stay_within_the_embedded_json(hostile: Comparison) -> None:
    (text,) = [text for attrs, text in Elements(make_page(hostile)).raw if attrs.get("type") == "application/json"]
    curves = json.loads(text)

    assert [group["name"] for group in curves["groups"]][:7] == list(HOSTILE[:7])
    assert not set("<>&'") & set(text)


def test_csv_of_hostile_names_holds_no_formula(hostile: Comparison) -> None:
    cells = [
        cell for table in list_tables(hostile) for row in csv.reader(io.StringIO(table.csv)) for cell in row if cell
    ]

    assert "'=cmd()|' /C calc'!A0" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


def test_page_of_30_long_runs_fits_into_a_mail() -> None:
    comparison = summarise_groups(make_comparison(9, 4, n_epochs=300))
    comparison = replace(comparison, groups=comparison.groups[:8], runs=comparison.runs[:32])

    assert len(make_page(comparison, None).encode()) < LARGEST_BYTES


def test_long_curves_are_thinned_with_their_ends() -> None:
    comparison = make_comparison(2, 1, n_epochs=5 * MAX_POINTS)
    run = collect_curves(comparison)["runs"][0]

    assert len(run["epoch"]) == MAX_POINTS == len(run["curves"][0])
    assert (run["epoch"][0], run["epoch"][-1]) == (0, 5 * MAX_POINTS - 1)


def test_long_csv_lies_beside_the_page() -> None:
    comparison = summarise_groups(make_comparison(2, 1))
    (drawn,) = draw_figures(comparison, ["learning_rate"])
    long = DrawnFigure(drawn.name, drawn.title, drawn.figure, drawn.columns, drawn.rows * 2000)

    page = build_page(comparison, [long])

    assert "csv of 40000 rows: too long for this page" in page
    assert 'download="learning_rate.csv"' not in page


def test_heavy_figures_become_pixels() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.scatter(range(20_000), range(20_000), s=[1, 2] * 10_000)

    image = embed_image(figure, "heavy")

    assert image.startswith("data:image/png")
    assert len(image) < MAX_SVG_BYTES


def test_same_comparison_gives_the_same_page() -> None:
    comparison = summarise_groups(make_comparison(3, 2))

    assert make_page(comparison) == make_page(comparison)


def test_run_without_an_epoch_has_a_row_and_no_curve() -> None:
    comparison = summarise_groups(make_comparison(2, 1))
    run = make_run("exp_x/none", build_history([]), seed=0)
    groups = (*comparison.groups, Group("none yet", {}, (run,), {}))
    page = make_page(replace(comparison, groups=groups, runs=(*comparison.runs, run)))

    assert page.count("exp_x/none") == len(("runs", "differences", "sources"))


def test_two_runs_have_a_table_per_section() -> None:
    comparison = summarise_groups(make_comparison(2, 1))
    rows = (("phase1.trainer.lr", 0.001, None), (HOSTILE[1], HOSTILE[0], True))
    tables = list_tables(replace(comparison, differences={"config": rows, "numbers": rows[:1]}))

    shown = [table for table in tables if table.name.startswith("difference")]

    assert [table.title for table in shown] == ["Two runs: config", "Two runs: numbers"]
    assert [[cell.text for cell in row] for row in shown[0].rows] == [
        ["phase1.trainer.lr", "0.001", ""],
        [HOSTILE[1], HOSTILE[0], "True"],
    ]


def test_long_text_among_numbers_is_broken_into_lines() -> None:
    comparison = summarise_groups(make_comparison(2, 1))
    rows = (("phase1.trainer.lr", 0.001, 0.002), ("overrides", "x" * 100, "none"))

    page = make_page(replace(comparison, differences={"config": rows}))

    assert f'<td class="long">{"x" * 100}</td>' in page
    assert '<td class="number" data-value="0.001">0.001</td>' in page


def test_comparison_of_nothing_is_a_page() -> None:
    comparison = replace(make_comparison(2, 1), groups=(), runs=(), rows={}, config_differences={})
    comparison = replace(comparison, verdict=replace(comparison.verdict, sentences=(), tests=(), banners=()))

    page = make_page(comparison, None)

    assert "There is no verdict" in page
    assert [attrs["id"] for tag, attrs in Elements(page).found if tag == "section"] == [
        "verdict",
        "left_out",
        "figures",
        "about",
    ]


def test_groups_show_mean_and_spread_with_the_judged_number_first() -> None:
    comparison = summarise_groups(make_comparison(9, 3))
    table = tabulate_groups(comparison)
    spread = comparison.groups[0].numbers["rec_mse"]

    assert table.columns[:3] == ("group", "runs", "rec_mse")
    assert "seed" not in table.columns
    assert table.rows[0][2].text == str(round_with_error(spread.mean, spread.sd))
    assert table.rows[0][2].number == spread.mean


def test_runs_show_the_judged_number_first_and_no_setting_that_all_share() -> None:
    comparison = summarise_groups(make_comparison(3, 1))
    table = next(table for table in list_tables(comparison) if table.name == "runs")
    head = next(csv.reader(io.StringIO(table.csv)))

    assert table.columns[:3] == ("run", "rec_mse", "latent_space")
    assert "state" not in table.columns
    assert "state" in head


def test_all_folders_are_accounted_for() -> None:
    table = tabulate_left_out(make_comparison(3, 1))

    assert table.note == "5 folders found: 3 used, 2 left out."
    assert len(table.rows) == 2


@pytest.mark.parametrize(
    ("number", "text"), [(512, "512"), (21_312.7, "21313"), (0.0693, "0.0693"), (1.5e-7, "1.5e-07"), (2e12, "2e+12")]
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert format_number(number) == text


def make_section(name: str) -> Section:
    """Return a section in which every text is `name`."""
    table = ResultTable("one", name, name, ("group", name), ((name, 1.0), (name, None)))
    figure = ResultFigure("missing", name, MissingFigure(name), lambda table, styles: Figure())
    return Section("part", name, (name,), (name,), (name,), tables=(table,), figures=(figure,))


def test_sections_of_inference_say_what_they_hold_and_hostile_texts_change_no_element() -> None:
    comparison = make_comparison(n_groups=1)

    def build(name: str) -> str:
        return build_page(comparison, [], sections=[draw_section(make_section(name), comparison)])

    def list_elements(page: str) -> list[tuple]:
        return [(tag, sorted(set(attributes) - {"href", "alt"})) for tag, attributes in Elements(page).found]

    for hostile, plain in zip(HOSTILE, PLAIN, strict=True):
        assert list_elements(build(hostile)) == list_elements(build(plain))
    page = build("words")
    assert page.index('id="figures"') < page.index('id="inference-part"') < page.index('id="about"')
    assert '<p class="banner flag" role="note"><strong>Failed:</strong> words</p>' in page
    assert "<li>words</li>" in page
    assert 'download="inference_one.csv"' in page


def test_first_cell_of_a_section_has_the_colour_of_its_group() -> None:
    comparison = make_comparison(n_groups=2)
    label = comparison.groups[1].label
    table = ResultTable("one", "One", "", ("group", "value"), ((label, 1.0), ("none of them", 2.0)))

    rows = tabulate_result(table, comparison).rows

    assert [row[0].group for row in rows] == [1, None]
