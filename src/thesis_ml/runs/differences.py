"""Two runs side by side: what differs in configuration, code, data and environment, and all their numbers."""

from collections.abc import Mapping

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import flatten_config
from thesis_ml.facts.summary import Cell, make_cell
from thesis_ml.utils.plain_values import as_mapping

Row = tuple[str, Cell, Cell]

CODE = ("git_commit", "git_dirty", "schema_version")
ENVIRONMENT = ("hostname", "n_threads", "hydra_job_id")
SETTINGS = ("run", "state", "loop", "encoder", "decoder", "latent_space", "loss", "critic", "trainer", "data", "seed")


def diff_runs(first: RunFacts, second: RunFacts, rows: Mapping[str, Mapping[str, Cell]]) -> dict[str, tuple[Row, ...]]:
    """Return a table of `(what, first, second)` per section: what differs, and of the numbers all.

    Args:
        first: One run.
        second: The other run.
        rows: Their summary rows by name.
    """
    config = _diff(first.config, second.config)
    own = [{name: run.meta.get(name) for name in CODE[:2]} | {CODE[2]: run.schema_version} for run in (first, second)]
    machines = [
        {name: run.meta.get(name) for name in ENVIRONMENT}
        | {f"versions.{name}": value for name, value in as_mapping(run.meta.get("versions")).items()}
        | {f"cuda.{name}": value for name, value in as_mapping(run.meta.get("cuda_info")).items()}
        for run in (first, second)
    ]
    sheets = [flatten_config({"fingerprint": run.key.dataset_fingerprint, **run.sheet}) for run in (first, second)]
    numbers = {name: None for run in (first, second) for name in rows[run.name] if name not in SETTINGS}
    table = tuple((name, rows[first.name].get(name), rows[second.name].get(name)) for name in numbers)
    sections = {
        "config": (*_diff({"overrides": list(first.overrides)}, {"overrides": list(second.overrides)}), *config),
        "code": _diff(*own),
        "data": _diff(*sheets),
        "environment": _diff(*machines),
        "numbers": tuple(row for row in table if (row[1], row[2]) != (None, None)),
    }
    return {name: entries for name, entries in sections.items() if entries}


def _diff(first: Mapping[str, object], second: Mapping[str, object]) -> tuple[Row, ...]:
    keys = dict.fromkeys((*first, *second))
    rows = [(key, make_cell(first.get(key)), make_cell(second.get(key))) for key in keys]
    return tuple(row for row in rows if repr(row[1]) != repr(row[2]))
