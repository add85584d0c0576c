"""Background events that densities are fitted to, and those that they are not."""

from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.background import divide_background


def test_densities_and_unfitted_events_share_none() -> None:
    events = load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig())).splits["train"]

    fitted, others = divide_background(events, seed=1)

    assert (fitted.n_events, others.n_events) == (225, 75)
    assert not set(fitted.index) & set(others.index)
