"""Find the checkpoint of a trained model and make a tokenizer of it."""

import logging
from pathlib import Path

import torch

from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.checks import read_path
from thesis_ml.errors import DataError
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.devices import read_device
from thesis_ml.utils.paths import BEST_FILES, LAST_CHECKPOINT, MANIFEST_FILE, SWEEP_FILE, find_best, hash_file

log = logging.getLogger(__name__)


def load_tokenizer(path: str | Path, device: torch.device | str = "cpu") -> Tokenizer:
    """Return the tokenizer that a run left.

    Args:
        path: The run folder or a checkpoint in it.
        device: Where its model runs, such as cpu or cuda.

    Raises:
        ConfigError: There is no such device.
        DataError: There is no checkpoint, or it does not describe a model.
        FactsError: The disk does not give it.
    """
    place = read_device(device)
    file = _find_checkpoint(read_path(path))
    restored = restore_model(file)
    if "E" in restored.normalizer.features and not restored.normalizer.keeps_on_shell:
        log.warning("%s: decodes energies without masses, so that objects may have E < p", file)
    return Tokenizer(restored, hash_file(file), place)


def _find_checkpoint(path: Path) -> Path:
    """Return the checkpoint with the best weights of a run folder, or `path` itself where it is a file.

    Raises:
        DataError: There is none.
    """
    try:
        found = find_best(path) if path.is_dir() else path
        if found is None:
            raise DataError(f"{path}: {_explain_absence(path)}")
    except OSError as error:
        raise DataError(
            f"{str(path)[:100]}: cannot be read ({error.strerror}); give the folder of a trained run"
        ) from error
    return found


def _explain_absence(folder: Path) -> str:
    """Return what a folder without a checkpoint is, and what would be right."""
    if (folder / SWEEP_FILE).is_file():
        return "is a sweep, which holds a folder for each of its runs; give one of them"
    if (folder / MANIFEST_FILE).is_file():
        return "is a report; give the folder of one of the runs that it compares"
    if (folder / LAST_CHECKPOINT).is_file():
        remedy = f"let it go on with thesis-train resume={folder}, or give its {LAST_CHECKPOINT}"
        return f"its training has no best weights yet; {remedy}"
    return f"holds neither {' nor '.join(BEST_FILES)}; give the folder of a trained run"
