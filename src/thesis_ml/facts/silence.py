"""When a run counts as silent, and how that is said."""

from datetime import datetime

SILENT_AFTER_S = 600.0
SILENT_AFTER_EPOCHS = 5
"""A run is called silent after ten minutes or five of its longest epochs without a fact, the longer of the two."""


def describe_silence(last_fact_at: datetime, hostname: str | None, pid: int | None) -> str:
    """Return since when a run is silent, and where it ran."""
    return f"silent since {last_fact_at:%Y-%m-%d %H:%M:%S} UTC ({hostname}, pid {pid})"
