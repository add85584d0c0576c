"""When figures are drawn, where they go, and that one failing family leaves the others alone."""

import math
import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from monitoring.histories import make_history
from thesis_ml.config import parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.facts.recorder import open_recorder
from thesis_ml.facts.schema import EpochFacts, RunMeta
from thesis_ml.monitoring.config import FamilySwitches, LoggingConfig
from thesis_ml.monitoring.families import FAMILIES
from thesis_ml.monitoring.orchestrator import build_monitoring

ALL_FAMILIES = ("losses", "metrics", "recon", "codebook", "latency")
ALL_FIGURES = ["codebook.png", "latency.png", "losses.png", "metrics.png", "recon.png"]


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def notify_all(config: LoggingConfig, folder: Path, *moments: str) -> None:
    for drawer in build_monitoring(config, ALL_FAMILIES, folder):
        for moment in moments:
            drawer.notify(moment, make_history())


@pytest.mark.slow
def test_orchestrator_draws_at_the_chosen_moments_only(tmp_path: Path) -> None:
    notify_all(LoggingConfig(moments=("on_test_end",)), tmp_path / "figures", "on_epoch_end", "on_train_end")
    assert list_names(tmp_path / "figures") == []

    notify_all(LoggingConfig(moments=("on_test_end",), dpi=30), tmp_path / "figures", "on_test_end")
    assert list_names(tmp_path / "figures") == ALL_FIGURES


def test_orchestrator_draws_only_what_the_loop_has_and_the_user_left_on(tmp_path: Path) -> None:
    config = LoggingConfig(families=FamilySwitches(metrics=False))

    drawers = build_monitoring(config, ("losses", "metrics"), tmp_path)

    assert [drawer.family for drawer in drawers] == ["losses"]


@pytest.mark.parametrize("config", [LoggingConfig(make_plots=False), LoggingConfig(save_artifacts=False)])
def test_orchestrator_draws_nothing_when_plots_or_artifacts_are_off(config: LoggingConfig, tmp_path: Path) -> None:
    assert build_monitoring(config, ALL_FAMILIES, tmp_path) == []


def test_orchestrator_refuses_a_family_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'losses'"):
        build_monitoring(LoggingConfig(), ("loses",), tmp_path)


FORMATS = pytest.mark.parametrize(
    "drawn_twice", ["png", pytest.param("pdf", marks=pytest.mark.slow), "svg"], indirect=True
)


class DrawnTwice(NamedTuple):
    """Two folders with the figures of the same numbers, and the random states before and after."""

    folders: tuple[Path, Path]
    names: list[str]
    states: tuple[object, object]


@pytest.fixture(scope="module")
def drawn_twice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DrawnTwice:
    def read_states() -> tuple[list[int], bytes, object]:
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tobytes(), random.getstate()

    config = LoggingConfig(
        fig_format=request.param, moments=("on_test_end",), families=FamilySwitches(metrics=False, latency=False)
    )
    root = tmp_path_factory.mktemp("drawn")
    before = read_states()
    for folder in ("one", "two"):
        notify_all(config, root / folder, "on_test_end")
    names = [f"{family}.{request.param}" for family in ("codebook", "losses", "recon")]
    return DrawnTwice((root / "one", root / "two"), names, (before, read_states()))


@pytest.mark.slow
@FORMATS
def test_figure_of_the_same_numbers_is_the_same_file(drawn_twice: DrawnTwice) -> None:
    one, two = drawn_twice.folders

    assert list_names(one) == drawn_twice.names
    for name in drawn_twice.names:
        assert (one / name).read_bytes() == (two / name).read_bytes()


@FORMATS
def test_figures_leave_the_random_numbers_of_a_training_alone(drawn_twice: DrawnTwice) -> None:
    before, after = drawn_twice.states

    assert before == after


def test_file_naming_tells_epoch_and_moment(tmp_path: Path) -> None:
    config = LoggingConfig(file_naming="{family}_{moment}_epoch{epoch:03d}")
    (drawer,) = build_monitoring(config, ("losses",), tmp_path)

    drawer.notify("on_test_end", make_history())

    assert list_names(tmp_path) == ["losses_on_test_end_epoch002.png"]


@pytest.mark.parametrize(
    "naming", ["figure", "{epoch}", "{family}/{epoch}", "../{family}", "{family}:{epoch}", "{famly}"]
)
@pytest.mark.parametrize("ending", ["", "{", "{0}"])
def test_file_naming_that_would_lose_figures_is_refused(naming: str, ending: str) -> None:
    with pytest.raises(ConfigError, match=r"logging\.file_naming: must be"):
        parse_config(LoggingConfig, {"file_naming": naming + ending}, "logging")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dpi": 0}, "logging.dpi: must be between"),
        ({"moments": ["on_end"]}, "logging.moments: must be among on_epoch_end"),
        ({"fig_format": "jpg"}, "logging.fig_format: unknown value 'jpg'"),
        ({"families": {"loses": True}}, "logging.families.loses: unknown key"),
        ({"tracker": "tensorbord"}, "logging.tracker: unknown value 'tensorbord'"),
        ({"tracker": "wandb", "save_artifacts": False}, "logging.tracker: must be none when save_artifacts is false"),
    ],
)
def test_logging_config_refuses_wrong_values(values: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(LoggingConfig, values, "logging")

    assert message in str(caught.value)


def test_family_that_raises_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(FAMILIES, "losses", "math:fsum")  # raises on a history
    config = LoggingConfig(moments=("on_epoch_end",))
    drawers = build_monitoring(config, ("losses", "metrics"), tmp_path / "figures", drawing_share=math.inf)
    epoch = EpochFacts(
        epoch=0,
        step=1,
        metrics={"val": {"loss": 1.0, "type_accuracy": 0.5}},
        epoch_time_s=1.0,
        total_time_s=1.0,
        throughput=1.0,
    )

    names = ("type_accuracy",)
    with open_recorder(tmp_path / "facts", meta=RunMeta("r"), metric_names=names, subscribers=drawers) as recorder:
        recorder.record_epoch(epoch)

    assert list_names(tmp_path / "figures") == ["metrics.png"]
    assert "FigureDrawer" in caplog.text


def test_figures_that_an_epoch_has_no_time_for_are_drawn_when_training_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = LoggingConfig(moments=("on_epoch_end",))
    drawers = build_monitoring(config, ("losses", "latency"), tmp_path)
    for drawer in drawers:
        for n_epochs in (1, 2, 3):
            drawer.notify("on_epoch_end", make_history(n_epochs, is_tested=False))
    assert list_names(tmp_path) == []

    for drawer in drawers:
        drawer.notify("on_train_end", make_history(is_tested=False))

    assert list_names(tmp_path) == ["latency.png", "losses.png"]
    assert caplog.text.count("at the latest when training ends") == 1


def test_figures_that_were_drawn_in_time_are_not_drawn_again_when_training_ends(
    tmp_path: Path,
) -> None:
    config = LoggingConfig(moments=("on_epoch_end",), file_naming="{family}_{moment}")
    (drawer,) = build_monitoring(config, ("losses",), tmp_path, drawing_share=math.inf)

    for moment in ("on_epoch_end", "on_train_end"):
        drawer.notify(moment, make_history())

    assert list_names(tmp_path) == ["losses_on_epoch_end.png"]


def test_orchestrator_imports_no_matplotlib_before_the_first_figure() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from thesis_ml.monitoring.config import LoggingConfig\n"
        "from thesis_ml.monitoring.orchestrator import build_monitoring\n"
        "build_monitoring(LoggingConfig(), ['losses'], Path('.'))\n"
        "sys.exit('matplotlib' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
