"""The page of a report: one html file that needs nothing else and obeys nothing that a run has written."""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
import matplotlib
from matplotlib.figure import Figure

from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.page.curves import collect_curves
from thesis_ml.reports.page.tables import list_tables, tabulate_result
from thesis_ml.reports.plots import DrawnFigure
from thesis_ml.reports.plots.sections import DrawnSection
from thesis_ml.reports.plots.style import choose_colours
from thesis_ml.reports.plots.table import format_csv
from thesis_ml.reports.utils.escape import strip_controls
from thesis_ml.utils.progress import show_progress

ASSETS = Path(__file__).parent / "assets"
TEMPLATE = "page.html.jinja"
LICENSE = "uPlot-LICENSE.txt"
SCRIPTS = ("uPlot-1.6.32.iife.min.js", "page.js")
STYLES = ("uPlot-1.6.32.min.css", "page.css")

MAX_SVG_BYTES = 500_000
MAX_CSV_BYTES = 300_000
"""Beyond these a figure is embedded as png, and its csv lies beside the page only: the page shall fit into a mail."""

PNG_DPI = 160
NOTHING: Mapping[str, str] = MappingProxyType({})


def build_page(
    comparison: Comparison,
    figures: Sequence[DrawnFigure],
    *,
    missing: Mapping[str, str] = NOTHING,
    about: Mapping[str, str] = NOTHING,
    sections: Sequence[DrawnSection] = (),
) -> str:
    """Return the page as html.

    Args:
        comparison: What the report compares; its texts come from anybody.
        figures: In the order of the page.
        missing: Why the figures of these names were not drawn (`explain_missing`).
        about: What the page says of the report itself, by label: its id, time, code version.
        sections: What inference has to say.
    """
    style = "\n".join([*map(read_asset, STYLES), list_group_colours(comparison)])
    # The licence of the chart library goes wherever its code goes.
    script = "\n".join([f"/*\n{read_asset(LICENSE)}\n*/", *map(read_asset, SCRIPTS)])
    template = make_environment().get_template(TEMPLATE)
    every = [*figures, *(figure for section in sections for figure in section.figures)]
    described = {figure: describe_figure(figure) for figure in show_progress(every, "image")}
    return template.render(
        comparison=comparison,
        title=comparison.report_name.replace("_", " "),
        tables=[(table, embed_csv(table.csv)) for table in list_tables(comparison)],
        curves=collect_curves(comparison),
        figures=[described[figure] for figure in figures],
        missing=missing,
        about=about,
        sections=[describe_section(section, comparison, described) for section in sections],
        policy=write_policy(style, script),
        style=style,
        script=script,
    )


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
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def list_group_colours(comparison: Comparison) -> str:
    """Return the rules that give every group its colour."""
    styles = choose_colours(comparison.groups).values()
    return "\n".join(f".g{place} {{ --group: {style.colour}; }}" for place, style in enumerate(styles))


def describe_figure(figure: DrawnFigure) -> dict[str, Any]:
    """Return what the page shows of a figure: its image and its csv, if that is not too long."""
    csv = format_csv(figure.columns, figure.rows)
    return {
        "name": figure.name,
        "title": figure.title,
        "image": embed_image(figure.figure, figure.name),
        "csv": embed_csv(csv) if len(csv) <= MAX_CSV_BYTES else None,
        "size": f"{len(csv) / 1e6:.1f} MB",
        "n_rows": len(figure.rows),
    }


def describe_section(
    drawn: DrawnSection, comparison: Comparison, described: Mapping[DrawnFigure, dict[str, Any]]
) -> dict[str, Any]:
    """Return what the page shows of a section, whose figures were described before."""
    section = drawn.section
    tables = [tabulate_result(table, comparison) for table in section.tables]
    return {
        "name": section.name,
        "title": section.title,
        "sentences": section.sentences,
        "details": section.details,
        "flags": section.flags,
        "tables": [(table, embed_csv(table.csv)) for table in tables if table.rows],
        "figures": [described[figure] for figure in drawn.figures],
        "missing": drawn.missing,
    }


def embed_image(figure: Figure, name: str) -> str:
    """Return a figure as a data URI, svg while that is small; an image in which nothing can run."""
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    if stream.tell() <= MAX_SVG_BYTES:
        return _encode("image/svg+xml", stream.getvalue())
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=PNG_DPI)
    return _encode("image/png", stream.getvalue())


def embed_csv(text: str) -> str:
    """Return a csv as a data URI, which a link can offer as a file without a server."""
    return _encode("text/csv;charset=utf-8", text.encode("utf-8"))


def _encode(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _clean(value: Any) -> Any:
    """Return a text without what would break its line or turn its direction; jinja escapes it afterwards."""
    return strip_controls(value) if type(value) is str else value
