"""Tables of codebooks: use of the codes, dead codes, and the codes of each type of object."""

import numpy as np
import pytest

from code_uses import make_use
from section_contents import read_row
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.metrics.uncertain import Spread
from thesis_ml.reports.inference.sections.codes.tables import tabulate_types, tabulate_use
from thesis_ml.reports.utils.table import format_value


def test_use_of_codes_is_counted_by_type(restored: RestoredModel) -> None:
    counts = np.zeros((len(restored.dims.type_names), 16), dtype=np.int64)
    counts[0, :4] = 10
    counts[1, 3:5] = 20
    groups = {"vq": [make_use(restored, counts)]}

    use = read_row(tabulate_use(groups), group="vq")
    first, second, *others = (read_row(tabulate_types(groups), type=name) for name in restored.dims.type_names)

    assert (use["codes"], use["dead codes"].mean, use["-ln p [nat]"].mean) == (16, 11.0, 2.0)
    assert use["utilisation"].mean == pytest.approx(5 / 16)
    assert (first["codes used"].mean, first["codes of its own"]) == (4.0, 3.0)
    assert (second["codes used"].mean, second["codes of its own"]) == (2.0, 2.0)
    assert first["perplexity"].mean == pytest.approx(4.0)
    assert all(row["n"] == 0 for row in others)


def test_types_are_listed_by_quantiser(residual: RestoredModel) -> None:
    counts = np.ones((7, 16), dtype=np.int64)

    rows = tabulate_types({"rvq": [make_use(residual, counts, 2 * counts)]}).rows

    assert [row[:2] for row in rows[::7]] == [("rvq", 1), ("rvq", 2)]


def test_dead_codes_are_whole_and_out_of_all_codebooks(restored: RestoredModel, residual: RestoredModel) -> None:
    one_code, all_codes = np.zeros((7, 16), dtype=np.int64), np.ones((7, 16), dtype=np.int64)
    one_code[0, 3] = 5
    vq, rvq = make_use(restored, one_code), make_use(residual, one_code, all_codes)

    table = tabulate_use({"vq": [vq], "rvq": [rvq]})

    first, second = (read_row(table, group=group) for group in ("vq", "rvq"))
    assert [first[name].mean for name in ("perplexity", "dead codes")] == [pytest.approx(1.0), 15.0]
    assert [second[name].mean for name in ("perplexity", "dead codes")] == [pytest.approx(8.5), 15.0]
    assert [(row["quantisers"], row["codes"]) for row in (first, second)] == [(1, 16), (2, 32)]


def test_seeds_of_a_group_are_mean_and_standard_deviation(restored: RestoredModel) -> None:
    one_code, all_codes = np.zeros((7, 16), dtype=np.int64), np.ones((7, 16), dtype=np.int64)
    one_code[0, 3] = 5

    row = read_row(tabulate_use({"vq": [make_use(restored, counts) for counts in (one_code, all_codes)]}), group="vq")

    assert row["models"] == 2 and row["dead codes"] == Spread.of([15.0, 0.0])


def test_split_without_objects_is_blank_instead_of_nan(restored: RestoredModel) -> None:
    groups = {"vq": [make_use(restored, np.zeros((7, 16), dtype=np.int64))]}

    use = read_row(tabulate_use(groups), group="vq")

    assert [format_value(use[name]) for name in ("perplexity", "utilisation", "dead codes")] == ["", "", ""]
    assert {row[3] for row in tabulate_types(groups).rows} == {0}
