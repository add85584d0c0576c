"""The section on exports: one file per model, and why files or events are missing."""

import h5py

from section_contents import find_check, find_table, read_row
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import EventSplits
from thesis_ml.data.tokens import SAMPLE_PATH, load_events
from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.config import ExportKind, InferenceConfig
from thesis_ml.reports.inference.context import Clock, Context
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel
from thesis_ml.reports.inference.sections.export import build_exports


def build(
    restored: RestoredModel, stored: EventSplits, kind: ExportKind | None, names: tuple[str, ...] = ("vq",), **keys: int
) -> Section | None:
    """Return the section of models of these names on some events."""
    events = stored.splits["test"]
    data = LoadedData(stored, "", "test", events, events, events, (0,), None)
    models = tuple(LoadedModel(ScoredModel(name, "vq", 0, "run", None), restored, "hash") for name in names)
    config = InferenceConfig(enabled=True, export=kind, **keys)
    return build_exports(Context(config, models, {}, data, None, {}, {}, Clock()))


def test_export_that_lacks_events_of_the_data_is_noted(restored_run: RestoredModel, stored: EventSplits) -> None:
    n_all = sum(SyntheticConfig().sizes().values())

    limited = find_check(build(restored_run, stored, "codes").checks, "exports")
    fewer = find_check(build(restored_run, stored, "codes", max_samples=10).checks, "exports")
    whole = build(restored_run, load_events(DataConfig(synthetic=SyntheticConfig())), "codes")

    assert limited.state == "note"
    assert limited.text == (
        f"The files hold 900 of the {n_all} events of the data, because of data.limit_events of the runs."
    )
    assert "hold 30 of the" in fewer.text
    assert fewer.text.endswith("because of data.limit_events of the runs and inference.max_samples.")
    assert whole.checks == ()


def test_events_of_a_file_are_counted_in_the_file(restored_run: RestoredModel) -> None:
    stored = load_events(DataConfig(path=str(SAMPLE_PATH), limit_events=20))

    section = build(restored_run, stored, "codes")

    with h5py.File(SAMPLE_PATH) as file:
        n_all = sum(len(file[name]) for name in stored.datasets.values())
    assert f"hold 60 of the {n_all} events" in find_check(section.checks, "exports").text


def test_files_are_listed_with_their_vocabulary_and_names_of_their_own(
    restored_run: RestoredModel, stored: EventSplits
) -> None:
    section = build(restored_run, stored, "codes", names=("vq, seed 0", "VQ, seed 0"))

    first, second = section.writers
    assert first.casefold() != second.casefold() and first.startswith("codes_")
    row = read_row(find_table(section, "exports"), file=first)
    assert (row["events"], row["vocabulary"], row["start"], row["stop"]) == (900, 19, 16, 17)
    assert section.summary["kind"] == "codes" and len(section.summary["files"]) == 2
    assert section.caption == ""


def test_reconstruction_says_how_it_is_trained_on(restored_run: RestoredModel, stored: EventSplits) -> None:
    section = build(restored_run, stored, "reconstruction")

    assert section.caption.startswith("thesis-train data=h5_tokens data.path=FILE")
    assert read_row(find_table(section, "exports"), group="vq")["vocabulary"] is None


def test_model_that_cannot_be_written_fails_the_check(restored_run: RestoredModel, stored: EventSplits) -> None:
    for parameter in restored_run.model.decoder.parameters():
        parameter.data.fill_(float("nan"))

    section = build(restored_run, stored, "reconstruction")

    found = find_check(section.checks, "exports")
    assert found.state == "failed"
    assert found.text == (
        "reconstruction of vq are not exported: its reconstruction holds NaN or infinity; train it further."
    )
    assert section.tables == () and not section.writers


def test_without_the_key_there_is_no_section(restored_run: RestoredModel, stored: EventSplits) -> None:
    assert build(restored_run, stored, None) is None
