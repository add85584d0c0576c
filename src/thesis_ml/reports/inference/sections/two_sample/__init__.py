"""The section on real against reconstructed events: whether boosted trees can tell them apart, and by what."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from thesis_ml.errors import DataError
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.contents import Check, ResultFigure, ResultTable, Section, Value
from thesis_ml.reports.inference.background import draw_events
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.scoring.stream import choose_pass_options
from thesis_ml.reports.inference.sections.aggregate import gather_groups
from thesis_ml.reports.inference.sections.export.plan import ExportPlan, find_obstacle, rebuild
from thesis_ml.reports.inference.sections.two_sample.figures import draw_importances, tabulate_importances
from thesis_ml.reports.inference.sections.two_sample.measure import MOST_EVENTS, ModelTest, compare_events
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.progress import show_progress

NAME = "two_sample"
TITLE = "Real against reconstructed"
FEWEST_EVENTS = 100
"""Fewer leave a fold without trees or without a test."""
COLUMN = "two_sample"
"""The column of the scoreboard, of the objects of events."""
NULL = "truth against truth"

KINDS = {"events": "events", "with_met": "events with MET", "objects": "objects"}
"""The tests by the field of `ModelTest`, each with the head of its column."""

Groups = Mapping[str, Sequence[ModelTest]]


def build_two_sample(context: Context) -> Section | None:
    """Return the section, None where it was switched off."""
    config, data = context.config, context.data
    if not config.two_sample:
        return None
    real = draw_events(data.events, MOST_EVENTS, config.seed)
    if min(real.n_events, real.n_tokens) < FEWEST_EVENTS:
        text = f"Fewer than {FEWEST_EVENTS} events or objects: reconstructed and real ones are not compared."
        return Section(NAME, TITLE, checks=(Check("two-sample test", "note", text, NAME),))
    test = partial(compare_events, type_names=data.stored.type_names, seed=config.seed)
    obstacles: dict[str, str] = {}
    found: dict[str, ModelTest] = {}
    for model in show_progress(context.models, "two-sample test"):
        tokenizer = Tokenizer(model.restored, model.checkpoint_hash or "")
        plan = ExportPlan(
            tokenizer, "reconstruction", data.stored, choose_pass_options(config), model.scored.name, block_events=1
        )
        try:
            if (obstacle := find_obstacle(plan)) is None:
                found[model.scored.name] = test(real, rebuild(plan, real))
        except DataError as error:
            obstacle = str(error)
        if obstacle is not None:
            obstacles[model.scored.name] = obstacle
    groups = gather_groups(context.models, found)
    checks = tuple(
        Check("two-sample test", "failed", f"{name}: its events cannot be compared: {reason}.", NAME)
        for name, reason in obstacles.items()
    )
    if not groups:
        return Section(NAME, TITLE, checks=checks)
    table = _tabulate(groups, test(real, real))
    importances = tabulate_importances({label: members[0].events for label, members in groups.items()})
    title = "Variables of objects that tell reconstructed from real events, first seed of each group"
    return Section(
        name=NAME,
        title=TITLE,
        caption="Boosted trees try to tell them apart: an AUROC of 0.5 means that they cannot.",
        checks=checks,
        scores={COLUMN: {label: _summarise(members) for label, members in groups.items()}},
        tables=(table,),
        figures=(ResultFigure("two_sample_variables", title, importances, draw_importances),),
        summary={table.name: table.split_errors().to_records()},
    )


def _tabulate(groups: Groups, null: ModelTest) -> ResultTable:
    """Return the AUROC of events and of objects of each group, below that of the truth alone."""
    rows: list[tuple[Value, ...]] = [(NULL, None, *(getattr(null, kind).auroc for kind in KINDS))]
    for label, members in groups.items():
        rows.append((label, len(members), *(_add_errors(members, kind) for kind in KINDS)))
    return ResultTable(
        name="two_sample",
        title="AUROC of real against reconstructed",
        note="Events: about forty variables of the objects of an event; with MET: also MET and its distance from "
        "H_T^miss. Objects: pT, eta, phi, mass and type of one object. Mean over seeds; the error holds events and "
        "seeds. No event is on both sides of a test.",
        columns=("group", "runs", *KINDS.values()),
        rows=tuple(rows),
        is_heat_map=True,
    )


def _summarise(members: Sequence[ModelTest]) -> Measured | Spread:
    """Return mean and standard deviation over seeds of the test of events, or the one value with its error."""
    aurocs = [one.events.auroc for one in members]
    return aurocs[0] if len(aurocs) == 1 else Spread.of([one.value for one in aurocs])


def _add_errors(members: Sequence[ModelTest], kind: str) -> Measured:
    """Return the mean over seeds; models share the events, so that more of them make only the spread smaller."""
    aurocs: list[Measured] = [getattr(one, kind).auroc for one in members]
    spread = Spread.of([one.value for one in aurocs])
    events = math.fsum(one.error for one in aurocs) / len(aurocs)
    return Measured(spread.mean, math.hypot(events, spread.sd / math.sqrt(spread.n)) if spread.n > 1 else events)
