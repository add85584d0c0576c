"""The page of a report holds everything it needs, in order, and texts of runs are nothing but text."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from comparisons import HOSTILE, make_comparison, make_run, summarise_groups
from report_pages import make_hostile_report, make_large_section, make_page, make_report, make_separation
from thesis_ml.facts.history import build_history
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.contents import ResultTable, Section
from thesis_ml.reports.page.curves import MAX_POINTS, collect_curves
from thesis_ml.reports.page.tables import MAX_ROWS, PageCell, show_scoreboard, show_table
from thesis_ml.reports.plots import KEY_FIGURE
from thesis_ml.reports.report import Report
from thesis_ml.reports.utils.escape import strip_controls

PLAIN = tuple(chr(ord("g") + place) * len(strip_controls(name)) for place, name in enumerate(HOSTILE))
"""Harmless names of the same lengths."""

LARGEST_BYTES = 1_500_000
"""Of 36 long runs without inference."""

MOST_HEADINGS = 45


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

    def list(self, name: str) -> list[str]:
        """Return the values of an attribute, in the order of the page."""
        return [value for _, attrs in self.found if (value := attrs.get(name)) is not None]


@pytest.fixture(scope="module")
def report() -> Report:
    comparison = summarise_groups(make_comparison(9, 3))
    return make_report(comparison, None, [make_separation([group.label for group in comparison.groups])])


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return make_page(report)


@pytest.fixture(scope="module")
def hostile() -> str:
    return make_page(make_hostile_report(HOSTILE))


def test_first_screen_comes_before_sections_in_order(page: str) -> None:
    elements = Elements(page).found
    sections = [attrs["id"] for tag, attrs in elements if tag == "details" and attrs.get("class") == "section"]
    places = [page.index(part) for part in ('class="headline"', 'class="board"', 'class="checks"', 'class="key"')]

    assert sections == ["training", "separation", "runs", "methods"]
    assert places == sorted(places)
    assert places[-1] < page.index('id="training"')


def test_few_headings_in_steps_of_one(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Elements(page).found if re.fullmatch("h[1-6]", tag)]

    assert len(levels) <= MOST_HEADINGS
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(page: str) -> None:
    elements = Elements(page)
    ids = elements.list("id")
    targets = {link[1:] for link in elements.list("href") if link.startswith("#")}
    named = {name for value in (*elements.list("aria-labelledby"), *elements.list("for")) for name in value.split()}

    assert len(ids) == len(set(ids))
    assert targets | named <= set(ids)


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    elements = Elements(page)
    sources = [one for name in ("src", "srcset", "action", "data", "poster") for one in elements.list(name)]

    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert all(re.match(r"#|(training|inference)/", link) for link in elements.list("href"))
    assert "link" not in {tag for tag, _ in elements.found}
    assert not re.search(r"url\((?!#|%23)|@import", page)


def test_policy_allows_the_scripts_and_styles_of_the_page_and_no_other(page: str) -> None:
    elements = Elements(page)
    policy = next(attrs["content"] for _, attrs in elements.found if "http-equiv" in attrs) or ""
    texts = [text for attrs, text in elements.raw if attrs.get("type") != "application/json"]

    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert re.findall(r"'(sha256-[^']+)'", policy) == [hash_text(text) for text in texts]
    assert not elements.list("style")
    assert not [name for _, attrs in elements.found for name in attrs if name.startswith("on")]


def hash_text(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.slow
def test_figures_are_embedded_once_with_their_files_beside_the_page(report: Report) -> None:
    elements = Elements(make_page(report, "pdf"))
    images = elements.list("src")
    links = elements.list("href")

    assert len(images) == len(set(images))
    assert f"training/figures/{KEY_FIGURE}.pdf" in links
    assert f"training/figures/{KEY_FIGURE}.csv" in links
    assert links.count(f"training/figures/{KEY_FIGURE}.csv") == 1
    assert "inference/figures/roc_one.pdf" in links


def test_figures_that_were_not_drawn_are_listed_with_the_reason(page: str) -> None:
    assert "<code>curve_difference</code>: a difference is drawn between exactly two runs, these are 27" in page
    assert "<code>scan_one</code>: words" in page


def test_hostile_names_change_no_element_of_the_page(hostile: str) -> None:
    found, expected = (
        [(tag, sorted(attrs)) for tag, attrs in Elements(page).found if tag != "wbr"]
        for page in (hostile, make_page(make_hostile_report(PLAIN)))
    )

    assert found == expected


def test_hostile_names_are_shown_as_they_are(hostile: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in hostile
    assert "{{ 7*7 }}" in hostile
    assert "\u202e" not in hostile
    hostile.encode("utf-8")


def test_hostile_names_stay_within_the_embedded_json(hostile: str) -> None:
    (text,) = [text for attrs, text in Elements(hostile).raw if attrs.get("type") == "application/json"]
    curves = json.loads(text)

    assert [group["name"] for group in curves["groups"]][:7] == list(HOSTILE[:7])
    assert not set("<>&'") & set(text)


@pytest.mark.slow
def test_page_of_36_long_runs_is_small() -> None:
    comparison = summarise_groups(make_comparison(9, 4, n_epochs=300))

    assert len(make_page(make_report(comparison, None)).encode()) < LARGEST_BYTES


def test_long_curves_are_thinned_with_their_ends() -> None:
    comparison = make_comparison(2, 1, n_epochs=5 * MAX_POINTS)
    run = collect_curves(comparison)["runs"][0]

    assert len(run["epoch"]) == MAX_POINTS == len(run["curves"][0])
    assert (run["epoch"][0], run["epoch"][-1]) == (1, 5 * MAX_POINTS)


def test_same_comparison_gives_the_same_page() -> None:
    report = make_report(summarise_groups(make_comparison(3, 2)))

    assert make_page(report) == make_page(report)


def test_run_without_an_epoch_has_a_row_and_no_curve() -> None:
    comparison = summarise_groups(make_comparison(2, 1))
    run = make_run("exp_x/none", build_history([]), seed=0)
    groups = (*comparison.groups, Group("none yet", {}, (run,), {}))
    rows = {**comparison.rows, run.name: {}}

    page = make_page(make_report(replace(comparison, groups=groups, runs=(*comparison.runs, run), rows=rows)))

    assert page.count("exp_x/none") == len(("runs", "sources"))


def test_comparison_of_nothing_is_a_page() -> None:
    comparison = replace(make_comparison(2, 1), groups=(), runs=(), rows={})
    comparison = replace(comparison, verdict=replace(comparison.verdict, ranking=(), tests=()))

    assert "0 runs in 0 groups" in " ".join(make_page(make_report(comparison)).split())


def test_scoreboard_marks_the_best_and_links_definitions(report: Report, page: str) -> None:
    table = show_scoreboard(report.scoreboard, {})
    best = [row[0].text for row in table.rows for cell in row if cell.is_best]
    definitions = {f"define-{column.name}" for column in table.columns if column.name}

    assert report.comparison.groups[0].label in best
    assert definitions <= set(Elements(page).list("id"))
    assert {f"#{name}" for name in definitions} <= set(Elements(page).list("href"))


def test_passed_checks_share_a_line_and_failed_ones_have_their_text(page: str) -> None:
    assert page.count('<li class="passed">') == 1
    assert re.search(r'<li class="failed">.*<a href="#separation">null tests</a>: words', page)


def make_cells(*values: object, is_heat_map: bool = False) -> list[PageCell]:
    table = ResultTable("one", "", "", tuple("abcdefgh"[: len(values)]), (values,), is_heat_map=is_heat_map)  # type: ignore[arg-type]  # any values
    return list(show_table(table, {"vq": 1}).rows[0])


def test_cells_have_the_colour_of_their_group() -> None:
    assert [cell.group for cell in make_cells("vq", "none", "vq")] == [1, None, 1]


def test_numbers_are_told_from_texts() -> None:
    cells = make_cells("vq", 512, 0.5, Measured(1.0, 0.1), Spread(2.0, 0.1, 3), None, float("nan"), True)

    assert [cell.is_number for cell in cells] == [False, True, True, True, True, False, False, False]


def test_long_text_is_broken_into_lines() -> None:
    assert [cell.style for cell in make_cells("vq", "x" * 100, 0.001)] == ["", "long", "n"]


@pytest.mark.parametrize(
    ("number", "style"),
    [(1.0, "n heat-5"), (0.5, "n heat-0"), (0.42, "n heat-low-1"), (0.0, "n heat-low-5"), (7.0, "n heat-5")],
)
def test_heat_deepens_with_the_distance_from_chance(number: float, style: str) -> None:
    assert make_cells("row", Measured(number, 0.01), is_heat_map=True)[1].style == style


def test_heat_map_puts_errors_below_numbers_without_exponents() -> None:
    cells = make_cells("row", Measured(0.912, 0.014), Measured(0.5000005, 0.0000002), is_heat_map=True)

    assert [(cell.text, cell.error) for cell in cells[1:]] == [("0.912", "0.014"), ("0.5", "2e-07")]


def test_matrix_has_two_rows_of_heads_and_opens_panels(page: str, report: Report) -> None:
    labels = [group.label for group in report.comparison.groups]
    (matrix,) = report.inference_sections[0].tables
    table = show_table(matrix, {label: place for place, label in enumerate(labels)})

    assert [(span.title, span.first, span.last) for span in table.spans][:2] == [("baseline", 1, 2), (labels[0], 3, 4)]
    assert table.choices == table.spans
    assert [column.full_title for column in table.columns] == list(matrix.columns)
    assert '<a href="#problem_one">words</a>' in page


def test_table_that_lies_beside_the_page_is_cut_and_says_so() -> None:
    comparison = summarise_groups(make_comparison(2, 1))

    page = make_page(make_report(comparison, sections=[make_large_section(MAX_ROWS + 5)]))

    assert f"The first {MAX_ROWS} of {MAX_ROWS + 5} rows" in page
    assert '<a href="inference/many_pairs.csv">' in page
    assert f"pair {MAX_ROWS - 1}<" in page
    assert f"pair {MAX_ROWS}<" not in page


def test_two_runs_have_a_table_per_topic() -> None:
    comparison = summarise_groups(make_comparison(2, 1))

    titles = re.findall(r"Two runs: (\w+)</h3>", make_page(make_report(comparison)))

    assert "config" in titles
    assert len(titles) == len(set(titles))


def test_section_without_contents_is_shown() -> None:
    page = make_page(make_report(summarise_groups(make_comparison(2, 1)), sections=[Section("part", "Part", "Why.")]))

    assert '<p class="note">Why.</p>' in page
