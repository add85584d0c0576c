"""Events of two classes that classifiers learn from."""

import pytest

from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.events import LoadedData


@pytest.fixture(scope="session")
def data() -> LoadedData:
    """Synthetic events of the classes 0 and 1, and anomalies with label 2 that only the test split has."""
    synthetic = SyntheticConfig(n_train=3000, n_val=300, n_test=1500, inject="dijet_resonance")
    stored = load_events(DataConfig(synthetic=synthetic))
    train, test = stored.splits["train"], stored.splits["test"]
    return LoadedData(stored, "fingerprint", "test", test, train, train, (0,), None)
