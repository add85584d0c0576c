"""Which labels are background, and which of its events densities are fitted to."""

import numpy as np

from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.background import choose_classes, divide_background
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel


def test_background_is_what_models_were_trained_on() -> None:
    stored = load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig()))
    labels = sorted(set(stored.splits["train"].labels.tolist()))

    def choose(*trained: tuple[int, ...] | None, asked: tuple[int, ...] | None = None) -> tuple[int, ...]:
        models = [
            LoadedModel(ScoredModel(str(number), "a", 0, "run", classes), restored=None, checkpoint_hash=None)
            for number, classes in enumerate(trained)
        ]
        return choose_classes(models, stored, InferenceConfig(background_classes=asked))

    commonest = int(np.bincount(stored.splits["train"].labels).argmax())
    assert choose(None) == (commonest,)
    assert choose(None, (labels[-1],)) == (labels[-1],)
    assert choose((labels[0],), (labels[-1],)) == (commonest,)
    assert choose(None, asked=tuple(labels)) == tuple(labels)


def test_densities_and_unfitted_events_share_none() -> None:
    events = load_events(DataConfig(limit_events=300, synthetic=SyntheticConfig())).splits["train"]

    fitted, others = divide_background(events, seed=1)

    assert (fitted.n_events, others.n_events) == (225, 75)
    assert not set(fitted.index) & set(others.index)
