"""The process of a training: its device, its threads and its seeds."""

import torch

from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.seed import set_all_seeds


def prepare_process(settings: RunSettings) -> None:
    """Refuse a device that does not exist, and set threads and seeds; call it before data is read.

    Several threads share a logarithm of many numbers differently from start to start, which changes last digits.

    Raises:
        ConfigError: The device does not exist.
    """
    choose_device(settings.trainer.device, f"{settings.trainer_key}.device")
    if settings.trainer.n_threads is not None:
        torch.set_num_threads(settings.trainer.n_threads)
    set_all_seeds(settings.trainer.seed)
