"""The configurations of reports compose and parse, and wrong values are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.reports.config import parse_report
from thesis_ml.reports.plots import choose_figures
from thesis_ml.utils.paths import find_configs

NAMES = sorted(path.stem for path in (find_configs() / "report").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_config_of_a_report_composes_and_names_figures_that_exist(name: str, compose_report) -> None:
    config = parse_report(compose_report(name))

    assert config.report_name == name
    assert choose_figures(config.outputs.which_figures)
    assert config.inference.enabled is False


@pytest.mark.parametrize("text", ["inputs.sweep_dir=a", "inputs.sweep_dir=[a]", "inputs.run_dirs=a"])
def test_one_input_or_a_list_is_the_same(text: str, compose_report) -> None:
    inputs = parse_report(compose_report("compare_runs", text)).inputs

    assert inputs.sweep_dir + inputs.run_dirs == ("a",)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("outputs.fig_format=bmp", "outputs.fig_format: unknown value 'bmp'; available: png, pdf, svg"),
        ("outputs.dpi=5", "outputs.dpi: must be between 30 and 1200, got 5"),
        ("thresholds.val_mse=-1", "thresholds.val_mse: must be at least 0"),
        ("thresholds.split=test", "thresholds.split: unknown value 'test'"),
        ("summary_schema_version=2", "summary_schema_version: must be 1, got 2"),
        ("inference.enabled=true", "inference.enabled: must be false"),
        ("inputs.select=[{a: 1}]", "inputs.select[0]: expected a text"),
        ("+output_root=x", "output_root: must be given as env.output_root"),
        ("+more=1", "more: unknown key; allowed:"),
    ],
)
def test_wrong_value_is_refused(override: str, message: str, compose_report: Callable[..., DictConfig]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_report(compose_report("compare_runs", override))

    assert message in str(caught.value)


def test_place_of_reports_is_the_users_only_when_given(compose_report, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_report(compose_report("compare_runs")).output_root is None

    monkeypatch.setenv("THESIS_OUTPUT_ROOT", "elsewhere")

    assert parse_report(compose_report("compare_runs")).output_root == Path("elsewhere")


def test_report_is_found_by_the_name_of_its_module() -> None:
    from thesis_ml.cli.reports import find_report
    from thesis_ml.reports.analyses import compare_tokenizers

    assert find_report("compare_tokenizers") is compare_tokenizers.run_report
    for name in ("os", "..config", "compare_token", "__init__"):
        with pytest.raises(ReportError, match="available: compare_globals_heads, compare_runs, compare_tokenizers"):
            find_report(name)
