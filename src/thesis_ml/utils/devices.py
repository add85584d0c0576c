"""The device of a run, and its peak memory."""

from pathlib import Path
from typing import Any

import torch

from thesis_ml.errors import ConfigError


def choose_device(name: str, where: str) -> torch.device:
    """Return the device called `name`, as the key `where` says; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: This machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in available.items() if is_there))
    if not available[name]:
        usable = ", ".join(kind for kind, is_there in available.items() if is_there)
        raise ConfigError(f"{where}: {name!r} is not available here; available: auto, {usable}")
    return torch.device(name)


def read_device(device: Any) -> torch.device:
    """Return a torch device, such as cuda:1, after a test computation on it.

    Raises:
        ConfigError: This machine has no such device.
    """
    try:
        found = device if isinstance(device, torch.device) else torch.device(device)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, TypeError, ValueError, ImportError, AttributeError) as error:
        raise ConfigError(f"device: {device!r:.40} is not available here; expected cpu, cuda or mps") from error
    return found


def read_max_memory_mib(device: torch.device) -> float | None:
    """Return the peak memory of this process on `device`, or None where the system does not provide it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if device.type != "cpu" or not status.exists():
        return None
    peaks = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0].split()[1]) / 2**10 if peaks else None
