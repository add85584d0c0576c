"""What a code decodes to alone is what the model makes of its objects."""

import math

import numpy as np

from code_uses import make_places, make_use
from scored_splits import make_split
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.scoring.stream import ModelScorer, PassOptions
from thesis_ml.reports.inference.sections.codes.measure import ALONE, MEAN, decode_codes, list_places, measure_cost


def test_code_decodes_alone_as_within_events(restored: RestoredModel) -> None:
    events = load_events(DataConfig(limit_events=100, synthetic=SyntheticConfig())).splits["test"]

    decoded = decode_codes(restored)
    passed = ModelScorer(restored, PassOptions()).run(events)

    codes = passed.codes[:, 0]
    np.testing.assert_allclose(decoded.mean[codes], passed.kinematics[:, 1:], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(decoded.types[codes], passed.types)


def test_code_of_one_of_several_quantisers_means_nothing_alone(
    restored: RestoredModel, residual: RestoredModel
) -> None:
    counts = np.ones((7, 16), dtype=np.int64)

    one = list_places(make_use(restored, counts, places=[make_places(16)]))
    two = list_places(make_use(residual, counts, 2 * counts, places=[make_places(16), make_places(16)]))

    assert [kind for kind, _, _ in one] == [ALONE]
    assert [(kind, int(total[0])) for kind, _, total in two] == [(MEAN, 7), (MEAN, 14)]
    assert decode_codes(residual) is None and list_places(make_use(residual, counts, 2 * counts)) == []


def test_cost_of_an_object_is_the_mean_over_objects_and_nan_without_any() -> None:
    scored = make_split(30)
    scored.table["vq, seed 0", "clean"]["code_sum"] = np.full(30, 4.0)

    costs = [measure_cost(scored, "vq, seed 0", [np.full((1, 2), number)]) for number in (30, 0)]

    assert costs[0] == 2.0 and math.isnan(costs[1])
    assert math.isnan(measure_cost(scored, "none, seed 0", [np.ones((1, 2), dtype=np.int64)]))
