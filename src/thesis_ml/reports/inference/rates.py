"""Cross-sections and luminosity: what turns shares of events into numbers of events."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Physical rates, because the classes of a file are not mixed as nature mixes them.

    Args:
        cross_sections_pb: By the name or number of a label, or `signal_file`; after the selection of the file.
        luminosity_fb: Integrated luminosity in 1/fb.
    """

    cross_sections_pb: Mapping[str, float]
    luminosity_fb: float
