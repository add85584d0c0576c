"""The scores of all events as an HDF5 file."""

from pathlib import Path

import h5py

from thesis_ml.errors import ReportError
from thesis_ml.reports.inference.result import InferenceResult


def save_scores(path: Path, inference: InferenceResult) -> None:
    """Write columns per event, and `scores/<number>/<score>` with scorer and variant as attributes of the group.

    Names of scorers come from runs and may hold anything, so that they are no names of groups.

    Raises:
        ReportError: The file cannot be written.
    """
    try:
        with h5py.File(path, "w") as file:
            file.attrs["fingerprint"] = str(inference.data["fingerprint"])
            file.attrs["split"] = str(inference.data["split"])
            for name, values in inference.events.items():
                file.create_dataset(name, data=values)
            for number, ((scorer, variant), scores) in enumerate(inference.scores.items()):
                group = file.create_group(f"scores/{number:04d}")
                group.attrs["scorer"], group.attrs["variant"] = scorer.encode(errors="replace").decode(), variant
                for name, values in scores.items():
                    group.create_dataset(name, data=values.astype("float32"))
    except OSError as error:
        raise ReportError(f"{path.name}: cannot be written ({error}); free space or set env.output_root") from error
