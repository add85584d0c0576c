"""The models of a report, restored from their checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.errors import DataError, FactsError
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.inference.origin import refuse_other_run
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, ScoredModel
from thesis_ml.utils.paths import BEST_FILES, find_best
from thesis_ml.utils.progress import show_progress


@dataclass(frozen=True)
class LoadedModel:
    """A model of the report, and what its scores are listed under."""

    scored: ScoredModel
    restored: RestoredModel
    checkpoint_hash: str | None


@dataclass(frozen=True)
class ModelSet:
    """The models of a report, and by the name of the run why there are no others."""

    models: tuple[LoadedModel, ...]
    not_possible: Mapping[str, str]


def restore_runs(groups: Sequence[Group]) -> ModelSet:
    """Return the model of every run that can be restored, by group and seed."""
    models: list[LoadedModel] = []
    not_possible: dict[str, str] = {}
    listed = [(group, run) for group in groups for run in group.runs]
    for group, run in show_progress(listed, "model"):
        try:
            restored = restore_model(find_checkpoint(run))
            refuse_other_run(run, restored)
        except (DataError, FactsError) as error:
            not_possible[run.name] = str(error).removeprefix(f"{run.name}: ")
            continue
        # A sample's noise follows the places of the tokens.
        exact = () if restored.model.draws_samples else ("token_order",)
        scored = ScoredModel(_name_model(group, run), group.label, run.seed, run.name, restored.train_classes, exact)
        models.append(LoadedModel(scored, restored, run.checkpoint_hash))
    return ModelSet(_name_apart(models), not_possible)


def find_checkpoint(run: RunFacts) -> Path:
    """Return the file of the best weights of a run.

    Raises:
        DataError: There is none in its folder, or none that says what its weights mean.
    """
    if run.schema_version == 1:
        raise DataError(f"{run.name}: not possible: no normaliser; train it again with this version")
    found = find_best(run.path)
    if found is not None:
        return found
    if links := [name for name in BEST_FILES if (run.path / name).is_file()]:
        raise DataError(
            f"{run.name}: {links[0]} is a link out of the folder, which is not followed; copy the file there"
        )
    raise DataError(f"{run.name}: holds neither {' nor '.join(BEST_FILES)}; copy the checkpoint beside its facts")


def _name_model(group: Group, run: RunFacts) -> str:
    return group.label if len(group.runs) == 1 else f"{group.label}, seed {run.seed}"


def _name_apart(models: Sequence[LoadedModel]) -> tuple[LoadedModel, ...]:
    """Return the models with names that all differ: a seed may occur twice, and a group may have any label."""
    named: list[LoadedModel] = []
    taken = {BASELINE}
    for model in models:
        name, number = model.scored.name, 1
        while name in taken:
            number += 1
            name = f"{model.scored.name} ({number})"
        taken.add(name)
        named.append(replace(model, scored=replace(model.scored, name=name)))
    return tuple(named)
