"""The section on codebooks: how many codes are used, for which objects, and where they lie."""

from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.sections.aggregate import gather_groups
from thesis_ml.reports.inference.sections.codes.figures import plan_figures
from thesis_ml.reports.inference.sections.codes.measure import CodeUse, measure_cost
from thesis_ml.reports.inference.sections.codes.tables import tabulate_types, tabulate_use


def build_codes(context: Context) -> Section | None:
    """Return the section, None where no model has codes."""
    uses: dict[str, CodeUse] = {}
    for model in context.models:
        name = model.scored.name
        if (counts := context.closures[name].codes) is not None:
            cost = measure_cost(context.scores, name, counts)
            uses[name] = CodeUse(name, model.restored, counts, cost, context.closures[name].places)
    if not uses:
        return None
    groups = gather_groups(context.models, uses)
    tables = (tabulate_use(groups), tabulate_types(groups))
    return Section(
        name="codebooks",
        title="Codebooks",
        caption="Codes of all objects of the scored split.",
        tables=tables,
        figures=plan_figures(groups),
        summary={table.name: table.split_errors().to_records() for table in tables},
    )
