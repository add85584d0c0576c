"""The page of a report: one html file that needs nothing else and obeys nothing that a run has written."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import Panel, ResultFigure, Section
from thesis_ml.reports.page.curves import collect_curves
from thesis_ml.reports.page.images import embed_image
from thesis_ml.reports.page.tables import show_scoreboard, show_table
from thesis_ml.reports.plots import KEY_FIGURE
from thesis_ml.reports.plots.style import choose_colours
from thesis_ml.reports.report import Report
from thesis_ml.reports.utils.escape import strip_controls
from thesis_ml.reports.utils.table import MissingFigure
from thesis_ml.utils.paths import FIGURES_FOLDER, INFERENCE_FOLDER, TRAINING_FOLDER
from thesis_ml.utils.progress import show_progress

ASSETS = Path(__file__).parent / "assets"
TEMPLATE = "page.html.jinja"
LICENSE = "uPlot-LICENSE.txt"
SCRIPTS = ("uPlot-1.6.32.iife.min.js", "tables.js", "chart.js", "page.js")
STYLES = ("uPlot-1.6.32.min.css", "page.css")


def build_page(
    report: Report, figures: Mapping[str, Figure], manifest: Mapping[str, Any], fig_format: str = "png"
) -> str:
    """Return the page as html.

    Args:
        report: What it shows; texts in it may come from anybody.
        figures: The drawn figures by name.
        manifest: Of the report: its id, its time, its code.
        fig_format: Ending of the files of figures beside the page.
    """
    comparison = report.comparison
    style = "\n".join([*map(read_asset, STYLES), list_group_colours(comparison)])
    # The licence of the chart library goes wherever its code goes.
    script = "\n".join([f"/*\n{read_asset(LICENSE)}\n*/", *map(read_asset, SCRIPTS)])
    images = {name: embed_image(figure, name) for name, figure in show_progress(list(figures.items()), "image")}
    places = {group.label: place for place, group in enumerate(comparison.groups)}
    key_figure = next((one for one in report.figures if one.name == KEY_FIGURE and one.name in images), None)
    return (
        make_environment()
        .get_template(TEMPLATE)
        .render(
            comparison=comparison,
            title=comparison.report_name.replace("_", " "),
            headline=report.headline,
            checks=report.checks,
            scoreboard=show_scoreboard(report.scoreboard, places),
            key_figure=None if key_figure is None else describe_figure(key_figure, TRAINING_FOLDER, images),
            sections=[describe_section(section, folder, images, places) for section, folder in order_sections(report)],
            curves=collect_curves(comparison),
            fig_format=fig_format,
            about={
                "report": manifest["report_id"],
                "made": manifest["created"],
                "code": manifest["code"]["git_commit"] or "unknown",
            },
            policy=write_policy(style, script),
            style=style,
            script=script,
        )
    )


def order_sections(report: Report) -> list[tuple[Section, str]]:
    """Return the sections in the order of the page, with the folders of their files: those on runs come last."""
    training = [(section, TRAINING_FOLDER) for section in report.sections]
    return [*training[:1], *((section, INFERENCE_FOLDER) for section in report.inference_sections), *training[1:]]


def make_environment() -> jinja2.Environment:
    """Return the templates, in which every text is escaped and a missing value is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean,
    )


@cache
def read_asset(name: str) -> str:
    """Return a file that the page embeds."""
    return (ASSETS / name).read_text(encoding="utf-8").strip()


def write_policy(style: str, script: str) -> str:
    """Return the content security policy of the page: nothing is loaded, and nothing runs but our own script.

    It is the second lock behind the escaping: a text of a run that became an element would still do nothing.
    """
    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'{_hash(style)}'",
        "script-src": f"'{_hash(script)}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def list_group_colours(comparison: Comparison) -> str:
    """Return the rules that give every group its colour."""
    styles = choose_colours(comparison.groups).values()
    return "\n".join(f".g{place} {{ --group: {style.colour}; }}" for place, style in enumerate(styles))


def describe_section(
    section: Section, folder: str, images: Mapping[str, str], places: Mapping[str, int]
) -> dict[str, Any]:
    """Return a section as the template shows it.

    Args:
        section: The section.
        folder: The folder of its files beside the page.
        images: The drawn figures as data URIs, by name.
        places: The place of each group by its label, which chooses its colour.
    """
    return {
        "name": section.name,
        "title": section.title,
        "caption": section.caption,
        **_describe_parts(section, folder, images, places),
        "panels": [
            {"name": panel.name, "title": panel.title, "panels": (), **_describe_parts(panel, folder, images, places)}
            for panel in section.panels
        ],
    }


def describe_figure(figure: ResultFigure, folder: str, images: Mapping[str, str]) -> dict[str, Any]:
    """Return a drawn figure as the template shows it: its image, and its files beside the page."""
    return {
        "name": figure.name,
        "title": figure.title,
        "image": images[figure.name],
        "path": f"{folder}/{FIGURES_FOLDER}/{figure.name}",
    }


def _describe_parts(
    part: Section | Panel, folder: str, images: Mapping[str, str], places: Mapping[str, int]
) -> dict[str, Any]:
    # The key figure stands beside the scoreboard.
    figures = [figure for figure in part.figures if figure.name in images and figure.name != KEY_FIGURE]
    has_files = folder == INFERENCE_FOLDER
    return {
        "tables": [
            show_table(table, places, f"{folder}/{table.name}.csv" if has_files else "") for table in part.tables
        ],
        "figures": [describe_figure(figure, folder, images) for figure in figures],
        "missing": {one.name: one.table.reason for one in part.figures if isinstance(one.table, MissingFigure)},
    }


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _clean(value: Any) -> Any:
    """Return a text without what would break its line or turn its direction; jinja escapes it afterwards."""
    return strip_controls(value) if type(value) is str else value
