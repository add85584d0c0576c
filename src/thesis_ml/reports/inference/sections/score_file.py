"""The scores of all events as an HDF5 file."""

from pathlib import Path

from thesis_ml.errors import ReportError
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.scoring.event_scores import RawScores
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing


def save_scores(data: LoadedData, table: RawScores, path: Path) -> None:
    """Write columns per event, and `scores/<number>/<score>` with scorer and variant as attributes of the group.

    Names of scorers come from runs and may hold anything, so that they are no names of groups.

    Raises:
        ReportError: The file cannot be written.
    """
    try:
        with open_for_writing(path) as (file, check):
            file.attrs["fingerprint"], file.attrs["split"] = data.fingerprint, data.split
            events = data.events
            for name, column in (("index", events.index), ("label", events.labels), ("weight", events.weights)):
                file.create_dataset(name, data=column)
            for number, ((scorer, variant), scores) in enumerate(table.items()):
                group = file.create_group(f"scores/{number:04d}")
                group.attrs["scorer"], group.attrs["variant"] = scorer.encode(errors="replace").decode(), variant
                for name, values in scores.items():
                    group.create_dataset(name, data=values.astype("float32"))
                check()
    except OSError as error:
        reason = explain_failure(error)
        raise ReportError(f"{path.name}: cannot be written ({reason}); free space or set env.output_root") from error
