"""Events of all splits that sections write and count."""

import pytest

from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import EventSplits
from thesis_ml.data.tokens import load_events


@pytest.fixture(scope="session")
def stored() -> EventSplits:
    return load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig()))
