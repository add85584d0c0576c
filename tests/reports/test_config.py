"""The configurations of reports compose and parse, and wrong values are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.reports.config import parse_report
from thesis_ml.reports.inference.changes.corruptions import CORRUPTIONS
from thesis_ml.reports.plots import choose_figures
from thesis_ml.utils.paths import find_configs

NAMES = sorted(path.stem for path in (find_configs() / "report").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_config_of_a_report_composes_and_names_figures_that_exist(name: str, compose_report) -> None:
    config = parse_report(compose_report(name))

    assert config.report_name == name
    assert choose_figures(config.outputs.which_figures)
    assert config.inference.enabled is False


def test_output_root_in_the_home_of_nobody_is_refused(compose_report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESIS_OUTPUT_ROOT", "~nobody-has-this-name/x")

    message = "^env.output_root: '~nobody-has-this-name/x' names a home that is not known; give a folder$"
    with pytest.raises(ConfigError, match=message):
        parse_report(compose_report("compare_runs"))


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
        ("summary_schema_version=1", "summary_schema_version: must be 2, got 1"),
        ("scoreboard.terminal=[x]", "scoreboard.terminal: unknown name 'x'; available: "),
        ("inference.baselines=[pca]", "inference.baselines"),
        ("inference.batch_size=0", "inference.batch_size: must be at least 1, got 0"),
        ("inference.max_samples=0", "inference.max_samples: must be at least 1, got 0"),
        ("inference.dataset_split=all", "inference.dataset_split: unknown value 'all'; available: train, val, test"),
        ("inference.data_path=' '", "inference.data_path: must be a file, or null"),
        ("inference.background_classes=[]", "inference.background_classes: must be a list of labels, or null"),
        ("inference.metrics=[error_men]", "inference.metrics[0]: unknown value 'error_men'"),
        ("inference.corruption_strategies=[dead_sectr]", "unknown name 'dead_sectr'; available: btag_flip"),
        ("inference.corruption_strategies={dead_sector: -1}", "dead_sector: must be above 0 and at most 1, got -1"),
        ("inference.corruption_strategies={dead_sector: [a]}", "expected a number, got 'a'"),
        ("inference.corruption_strategies={lost_object: 0}", "lost_object: must be above 0 and at most 1, got 0.0"),
        ("inference.corruption_strategies={btag_flip: 1.5}", "btag_flip: must be above 0 and at most 1, got 1.5"),
        ("inference.corruption_strategies={energy_smearing: 1e30}", "energy_smearing: must be above 0 and at most 1"),
        ("inference.corruption_strategies={energy_scale: 11}", "energy_scale: must be above 0 and at most 10, got 11"),
        ("inference.corruption_strategies=foo", "strengths by name such as {energy_smearing: 0.1}, got 'foo'"),
        ("inference.corruption_strategies=[1,2]", "expected names such as [energy_smearing], or strengths"),
        ("inference.seed=4294967296", "inference.seed: must be between 0 and 4294967295, got 4294967296"),
        ("inference.seed=-1", "inference.seed: must be between 0 and 4294967295, got -1"),
        ("inference.signal_file=a.h5", "inference.signal_file: must be given with inference.enabled=true"),
        ("inference.persist_raw_scores=true", "persist_raw_scores: must be given with inference.enabled=true"),
        ("inference.cross_sections_pb={a: 1}", "cross_sections_pb: must be given with inference.enabled=true"),
        ("inference.luminosity_fb=3", "luminosity_fb: must be given with inference.enabled=true"),
        ("inference.cross_sections_pb={}", "cross_sections_pb: must be values by label as {ttbar: 830}, or null"),
        ("inputs.select=[{a: 1}]", "inputs.select[0]: expected a text"),
        ("+output_root=x", "output_root: must be given as env.output_root"),
        ("+more=1", "more: unknown key; allowed:"),
    ],
)
def test_wrong_value_is_refused(override: str, message: str, compose_report: Callable[..., DictConfig]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_report(compose_report("compare_runs", override))

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("inference.corruption_strategies=[]", []),
        ("inference.corruption_strategies=[dead_sector]", ["dead_sector 0.05", "dead_sector 0.1", "dead_sector 0.2"]),
        ("inference.corruption_strategies={dead_sector: 0.3}", ["dead_sector 0.3"]),
        ("inference.corruption_strategies={dead_sector: [0.3, 0.1]}", ["dead_sector 0.1", "dead_sector 0.3"]),
    ],
)
def test_corruptions_are_names_or_strengths_by_name(override: str, expected: list[str], compose_report) -> None:
    plans = parse_report(compose_report("compare_runs", override)).inference.list_corruptions()

    assert [f"{plan.name} {plan.strength:g}" for plan in plans] == expected


def test_all_corruptions_are_scanned_unless_others_are_named(compose_report) -> None:
    plans = parse_report(compose_report("compare_runs")).inference.list_corruptions()

    assert {plan.name for plan in plans} == set(CORRUPTIONS)
    assert len(plans) == 3 * len(CORRUPTIONS)


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
