"""Events as the columns that a model sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stored_events import make_events, stack_features
from thesis_ml.data.config import DataConfig
from thesis_ml.data.encode import encode_events
from thesis_ml.data.h5_loader import DEFAULT_TYPE_NAMES as TYPE_NAMES
from thesis_ml.data.normalizer import fit_normalizer


def test_encoded_events_decode_to_themselves() -> None:
    events = make_events()
    events = replace(events, ids=np.ones_like(events.ids))  # jets: others have the mass of their type
    normalizer = fit_normalizer(events, DataConfig(), TYPE_NAMES)

    split = encode_events(events, normalizer)

    decoded = normalizer.decode_features(split.features, split.types).double().numpy()
    assert decoded == pytest.approx(stack_features(events), rel=1e-5, abs=1e-5)
    assert normalizer.decode_globals(split.globals).double().numpy() == pytest.approx(events.met, rel=1e-5, abs=1e-5)
    np.testing.assert_array_equal(split.types.numpy(), events.ids - 1)
    np.testing.assert_array_equal(split.lengths.numpy(), events.lengths)
    np.testing.assert_array_equal(split.index.numpy(), events.index)


def test_columns_follow_their_names_not_their_order() -> None:
    events = make_events()
    normalizer = fit_normalizer(events, DataConfig(features=("phi", "mass", "pt"), mass="linear"), TYPE_NAMES)
    turned = events.with_features(**dict(reversed(list(events.features.items()))))

    assert torch.equal(encode_events(events, normalizer).features, encode_events(turned, normalizer).features)
