"""The sections of inference: each is a folder or module that makes one `Section` from the context."""

from collections.abc import Callable, Mapping

from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.sections.anomaly import build_separation
from thesis_ml.reports.inference.sections.closure import build_closure
from thesis_ml.reports.inference.sections.codes import build_codes
from thesis_ml.reports.inference.sections.downstream import build_downstream
from thesis_ml.reports.inference.sections.export import build_exports
from thesis_ml.reports.inference.sections.overview import build_overview
from thesis_ml.reports.inference.sections.two_sample import build_two_sample

SECTIONS: Mapping[str, Callable[[Context], Section | None]] = {
    "closure": build_closure,
    "two-sample test": build_two_sample,
    "codes": build_codes,
    "anomaly": build_separation,
    "downstream": build_downstream,
    "export": build_exports,
    "overview": build_overview,
}
"""In the order of the page; the last one knows the time that the others took."""
