"""Names of labels, and their cross-sections."""

import numpy as np
import pytest

from thesis_ml.errors import ConfigError
from thesis_ml.reports.inference.config import Rates
from thesis_ml.reports.inference.labels import OF_FILE, check_rates, name_label


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tth": 0.1}, "unknown name 'tth'; available: .*did you mean 'ttH'"),
        ({"ttbar": 1.0, "0": 2.0}, "'ttbar' and '0' are the same label; give one of them"),
        ({"ttbar": 1.0}, "no value for ttH, signal_file; give every label of the events one"),
    ],
)
def test_every_label_has_one_cross_section(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^inference.cross_sections_pb: {message}"):
        check_rates(Rates(values, 3.0), np.array([0, 1, 1]), {0: "ttbar", 1: "ttH"}, has_signal_file=True)


def test_labels_without_a_name_are_named_by_their_number() -> None:
    names = {0: "ttbar", 1: ""}

    assert [name_label(label, names) for label in (0, 1, -1, OF_FILE)] == [
        "ttbar",
        "label 1",
        "events without a label",
        "signal_file",
    ]
