"""The process of a training: its device, its threads and its seeds."""

from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.seed import set_all_seeds
from thesis_ml.utils.threads import set_threads


def prepare_process(settings: RunSettings) -> None:
    """Refuse a device that does not exist, and set threads and seeds; call it before data is read.

    Several threads share a logarithm of many numbers differently from start to start, which changes last digits.

    Raises:
        ConfigError: The device does not exist, or so many threads cannot be started.
    """
    choose_device(settings.trainer.device, f"{settings.trainer_key}.device")
    set_threads(settings.trainer.n_threads, f"{settings.trainer_key}.n_threads")
    set_all_seeds(settings.trainer.seed)
