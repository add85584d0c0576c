"""Files of anomaly detection that other programs read."""

import csv
import io

from scored_splits import make_split, solve
from thesis_ml.reports.inference.sections.anomaly.files import format_dark_machines, format_working_points


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_dark_machines_table_is_that_of_the_challenge() -> None:
    solved = solve(make_split(4000)).solved

    rows = read_csv(format_dark_machines(solved, "val"))

    assert list(rows[0]) == ["Signal", "Model", "Chan", "AUC", "1e-2", "1e-3", "1e-4"]
    row = next(row for row in rows if (row["Signal"], row["Model"]) == ("ttH", "vq error_mean"))
    assert row["Chan"] == "val" and 0.7 < float(row["AUC"]) < 0.8
    assert 0.01 < float(row["1e-2"]) < 0.2
    assert row["1e-4"] == ""
    assert len(read_csv(format_working_points(solved))) == len(rows) * 5
