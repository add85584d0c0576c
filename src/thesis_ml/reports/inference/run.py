"""Run the models of a report on events: prepare the context, then build one section after another."""

from collections.abc import Sequence

from thesis_ml.reports.comparison import Group
from thesis_ml.reports.contents import InferenceResult
from thesis_ml.reports.inference.compression import fit_references
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import prepare
from thesis_ml.reports.inference.events import check_files
from thesis_ml.reports.inference.models import ModelSet
from thesis_ml.reports.inference.sections import SECTIONS
from thesis_ml.reports.inference.sections.overview import build_empty, describe_data, list_models


def run_inference(groups: Sequence[Group], config: InferenceConfig) -> InferenceResult:
    """Return the sections on the models of all groups and the events that they were given.

    Raises:
        ReportError: The data file is gone or is another one than that of all models.
        DataError: It cannot be read.
    """
    check_files(config)
    context = prepare(groups, config)
    if isinstance(context, ModelSet):
        return InferenceResult((build_empty(context),), list_models(context.models, context.not_possible), {})
    sections = []
    with context.clock.time("references of compression"):
        references = fit_references(context)
    for name, build in SECTIONS.items():
        with context.clock.time(name):
            section = build(context)
        sections += [] if section is None else [section]
    return InferenceResult(
        sections=tuple(sections),
        models=list_models(context.models, context.not_possible),
        data=describe_data(context.data),
        references=references,
    )
