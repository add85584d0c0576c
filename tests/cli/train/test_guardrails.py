"""A wrong command line is refused in one message that names the key, what is allowed and what is near."""

import re
from pathlib import Path

import pytest
from omegaconf import DictConfig

from command_runs import Outcome, run_commands
from composed_configs import compose_config
from thesis_ml.cli.train.guardrails import check_command_line, check_job
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import find_configs

pytestmark = pytest.mark.slow

WRONG = {
    "phase1.trainer.epoch=3": r"phase1\.trainer\.epoch: unknown key; allowed: .*batch_size.*did you mean 'epochs'",
    "+phase1.trainer.epoch=3": r"phase1\.trainer\.epoch: unknown key; allowed: .*did you mean 'epochs'",
    "phase1.trainr.epochs=3": r"phase1\.trainr: unknown key; allowed: .*did you mean 'trainer'",
    "epochs=3": r"epochs: unknown key; allowed: .*did you mean 'phase1\.trainer\.epochs'",
    "dat=sample": r"dat: unknown key; allowed: .*did you mean 'data'",
    "lop=ae": r"lop: unknown key; .*did you mean 'loop'",
    "phase1/latent_space=vqq": r"phase1/latent_space: unknown option 'vqq'; available: .*did you mean 'vq'",
    "phase1/latent_spac=vq": r"phase1/latent_spac: unknown group; available: .*did you mean 'phase1/latent_space'",
    "logging=plots_standart": r"logging: unknown option 'plots_standart'; .*did you mean 'plots_standard'",
    "phase1.trainer.lr.x=1": r"phase1\.trainer\.lr\.x: phase1\.trainer\.lr is a value",
    "phase1.trainer.lr": r"phase1\.trainer\.lr: there is no value; write phase1\.trainer\.lr=",
    "phase1.trainer.lr=[1,": r"phase1\.trainer\.lr=\[1,: cannot be read",
    "phase1.trainer.lr=1,2": r"phase1\.trainer\.lr=1,2: several values for one run; add --multirun",
    "phase1.trainer.lr=range(1,3)": r"several values for one run; add --multirun",
    "+phase1.trainer.epochs=3": r"phase1\.trainer\.epochs: exists already; leave out the \+",
    "~phase1.foo": r"phase1\.foo: there is no such key to remove",
    "data=3": r"data: 3 is no option of this group; available: h5_tokens, sample",
    "phase1=3": r"phase1: 3 is no option of this group; set one of its keys",
    "phase1.model.width=3": r"phase1\.model: has moved; use phase1\.encoder and phase1\.decoder",
    "phase1/tokenizer=vq": r"phase1\.tokenizer: has moved; use phase1\.latent_space instead",
    "phase1.full_model=x": r"phase1\.full_model: has moved; use loop, and",
    "phase1.trainer.critic_lr=1": r"critic_lr: unknown key; .*; phase1/trainer=adversarial \(of loop=gan_ae\) has it",
    "loop=gan_ae phase1.trainer.sample_every=1": r"; phase1/trainer=diffusion \(of loop=diffusion_ae\) has it",
    "phase1.decoder.n_steps=3": r"n_steps: unknown key; .*; phase1/decoder=diffusion \(of loop=diffusion_ae\) has it",
    "phase1.encoder.n_neighbors=3": r"encoder\.n_neighbors: unknown key; .*; phase1/encoder=gnn has it",
    "loop=gan_ae phase1.critic.hidden={a:1}": r"hidden: expected a list such as \[64, 64\], got a group of keys",
    "logging.families=[adverserial]": r"logging\.families: expected a group of keys \(adversarial, .*\), got a list",
    "name=${foo}": r"name: Interpolation key 'foo' not found",
    "name=${oc.env:NO_SUCH_VARIABLE}": r"name: Environment variable 'NO_SUCH_VARIABLE' not found",
    "hydra.run.dirr=x": r"hydra\.run\.dirr: unknown key; allowed: dir; did you mean 'dir'",
    "--config-dir nowhere": r"--config-dir: there is no folder 'nowhere'",
    "--config-name trian": r"--config-name: unknown name 'trian'; available: train",
    "--cfg job --multirun": r"--multirun and --cfg: must be given alone",
    "--resolve": r"--resolve: belongs to --cfg or --help",
    "--multirun hydra.run.dir=a,b": r"hydra\.run\.dir=a,b: keys of Hydra cannot be swept",
    "--multirun phase1/latent_space=none,vqq": r"phase1/latent_space: unknown option 'vqq'; .*\(job 1 of the sweep",
    "--multirun phase1.trainer.epoch=1,2": r"phase1\.trainer\.epoch: unknown key; .*did you mean 'epochs'",
    "--multirun phase1.trainer.lr=1e-3,1e-4,-1": r"phase1\.trainer\.lr: must be above 0, got -1.*\(job 2 of the sweep",
    "--multirun loop=ae,aee": r"loop: unknown name 'aee'; .*\(job 1 of the sweep",
    "--multirun data=sample,4": r"data: 4 is no option of this group",
    "--multirun +foo=1,2": r"foo: nothing of loop 'ae' reads this key",
    "--multirun phase1/experiment=compare_latent_spaces,compare_globals_heads": r"choose one per start",
    "phase1/experiment=compare_latent_spaces phase1.trainer.epochs=0": r"epochs: must be at least 1, got 0 \(job 0",
    "phase1/experiment=compare_latent_space": r"unknown option .*did you mean 'compare_latent_spaces'",
    "--config-dir files phase1/experiment=broken": r"broken\.yaml.*line 1",
    "--config-dir files phase1/experiment=old": r"phase1\.tokenizer: has moved; .*a file of the configuration sets it",
}
"""Lines that the command refuses."""

WRONG_JOBS = {
    "loop=aee": r"loop: unknown name 'aee'; available: .*did you mean 'ae'",
    "phase1.trainer.lr=abc": r"phase1\.trainer\.lr: expected a number, got 'abc'",
    "phase1.trainer=5": r"phase1\.trainer: expected a group of keys, got 5",
    "data={limit_events:0}": r"data\.limit_events: must be at least 1, got 0",
    "+phase1/tokenizer=vq": r"phase1\.tokenizer: has moved; use phase1\.latent_space instead",
    "+phase1.tokenizer=vq": r"phase1\.tokenizer: has moved; use phase1\.latent_space instead",
    "+phase1.ae.epochs=3": r"phase1\.ae\.epochs: has moved; use phase1\.trainer instead",
    "run_dir=elsewhere": r"run_dir: has moved; use hydra\.run\.dir",
    "phase1/critic=transformer": r"critic: nothing of loop 'ae' reads this key \(loop=gan_ae would\); [^;]*\Z",
    "loop=gan_ae phase1.trainer.gradient_penalty=inf": r"gradient_penalty: must be finite and at least 0, got inf",
    "phase1.trainer.lr=inf": r"phase1\.trainer\.lr: must be finite and above 0, got inf",
    "+foo=1": r"foo: nothing of loop 'ae' reads this key; it reads data, ",
    "+general.trainer.epochs=3": r"general\.trainer\.epochs: nothing of loop 'ae' .*mean 'phase1\.trainer\.epochs'",
    "++phase1={foo:{bar:1}}": r"phase1\.foo\.bar: nothing of loop 'ae' reads this key",
    "+env.root=x": r"env\.root: unknown key; allowed: data_root, output_root, user",
    "env.output_root=5": r"env\.output_root: expected a text, got 5",
    "name=[1,2]": r"name: must be a text, got \[1, 2\]",
    "phase1.trainer.monitor=perplexty": r"monitor: unknown 'perplexty'; available: .*did you mean 'perplexity'",
    "phase1.loss.weights={ptt:2}": r"phase1\.loss\.weights\.ptt: unknown feature; .*did you mean 'pt'",
    "logging.save_artifacts=maybe": r"logging\.save_artifacts: expected true or false, got 'maybe'",
}
"""Lines that Hydra composes and the checks of a job refuse; that the command asks them, other lines show."""

FILES = {"broken": "phase1: {trainer: [1", "old": "# @package _global_\nphase1:\n  tokenizer:\n    beta: 1.0\n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place to stand with a folder of configurations of its own."""
    folder = tmp_path_factory.mktemp("wrong")
    experiments = folder / "files/phase1/experiment"
    experiments.mkdir(parents=True)
    for name, text in FILES.items():
        (experiments / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run every wrong command line, and --help after them, in one process."""
    lines = [*WRONG, "--help", "--hydra-help"]
    return dict(zip(lines, run_commands(folder, [line.split(" ") for line in lines]), strict=True))


@pytest.mark.parametrize("line", list(WRONG))
def test_wrong_command_line_is_refused_in_one_message(line: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[line]

    assert outcome.exit_code == 2
    assert re.match(rf"error: .*{WRONG[line]}.*\n\Z", outcome.stderr)


@pytest.mark.parametrize("line", list(WRONG_JOBS))
def test_check_job_refuses_in_one_message(line: str, compose_job) -> None:
    with pytest.raises(ConfigError) as refused:
        check_job(compose_job(*line.split(" ")))

    assert re.search(WRONG_JOBS[line], str(refused.value))
    assert "\n" not in str(refused.value)


def test_nothing_is_made_or_read_for_a_wrong_command_line(outcomes: dict[str, Outcome], folder: Path) -> None:
    assert [outcome.stdout for line, outcome in outcomes.items() if line in WRONG and outcome.stdout] == []
    assert [path.name for path in folder.iterdir()] == ["files"]


def test_help_fits_a_screen_and_names_every_option(outcomes: dict[str, Outcome]) -> None:
    lines = outcomes["--help"].stdout.splitlines()
    groups = find_configs() / "phase1"

    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    for group in groups.iterdir():
        (found,) = (line for line in lines if line.split(" ")[2:3] == [f"phase1/{group.name}"])
        assert set(re.findall(r"\w+", found)) >= {path.stem for path in group.glob("*.yaml")}


def test_help_shows_the_loops_that_exist_and_the_values_of_this_command(outcomes: dict[str, Outcome]) -> None:
    text = outcomes["--help"].stdout

    assert re.search(r"^  loop +ae\*, gan_ae, diffusion_ae, test_mlp$", text, re.MULTILINE)
    assert re.search(r"^  phase1\.trainer\.epochs=10 +passes over the training split", text, re.MULTILINE)
    assert "outputs/multiruns/exp_YYYYMMDD-HHMMSS_<name>/" in text
    assert len(re.findall(r"^  [\w.]+=", text, re.MULTILINE)) == 10


def test_help_of_hydra_still_lists_its_flags(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["--hydra-help"].exit_code == 0
    assert "--shell-completion" in outcomes["--hydra-help"].stdout


@pytest.mark.parametrize(
    "line",
    [
        ["--multirun", "phase1/loss=glob(*)", "data=sample,h5_tokens"],
        ["--multirun", "phase1.trainer.lr=interval(1e-4,1e-2)"],
        ["phase1/experiment=null", "~phase1/loss", "data={limit_events: 5}"],
        ["--cfg", "job", "--resolve"],
    ],
)
def test_check_command_line_lets_pass_the_grammar_of_hydra(line: list[str]) -> None:
    check_command_line(line)


@pytest.mark.parametrize(
    "overrides",
    [
        ["phase1.trainer.epochs=3", "name=a", "data.limit_events=5"],
        ["phase1/latent_space=linear", "hydra=experiment", "logging=plots_full", "env=stoomboot"],
        ["data={limit_events: 5}", "phase1.loss.weights={pt: 2}", "name=5"],
        ["~phase1.trainer.lr"],
        ["hydra.run.dir=elsewhere"],
    ],
)
def test_check_job_lets_pass_what_a_loop_reads(
    overrides: list[str], compose_job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESIS_CLUSTER_USER", "someone")

    check_job(compose_job(*overrides))


def test_check_job_lets_pass_groups_that_are_merely_composed(compose_job) -> None:
    job = compose_job()
    job.general = {"trainer": {"epochs": 3}}

    check_job(job)


def test_check_job_warns_of_a_typo_in_a_file(compose_job, caplog: pytest.LogCaptureFixture) -> None:
    job = compose_job()
    job.phase1.trainr = {"epochs": 3}

    check_job(job)

    assert [record.message for record in caplog.records] == [
        "phase1.trainr: no loop of ours reads this key of the configuration"
    ]


def test_check_job_refuses_a_group_of_another_loop_that_was_overridden(compose_job) -> None:
    job = compose_job()
    job.general = {"trainer": {"epochs": 3}}
    job.hydra.overrides.task = ["general.trainer.epochs=3"]

    with pytest.raises(ConfigError, match=r"^general\.trainer\.epochs: nothing of loop 'ae' reads this key"):
        check_job(job)


def test_check_job_leaves_the_keys_of_a_users_own_loop_alone(compose_job) -> None:
    job = compose_job("loop=mine", "+my_key=1", "+phase1.model=2", "phase1.trainer.epochs=-1")

    check_job(job, loops=["ae", "mine"])


def test_check_job_claims_no_folder(compose_job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    check_job(compose_job("name=${hydra:runtime.output_dir}"))

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def compose_job():
    """Compose the configuration of one job as Hydra does, open for changes."""
    from omegaconf import OmegaConf

    def compose_with(*overrides: str) -> DictConfig:
        job = compose_config(find_configs(), "train", overrides, keeps_hydra=True)
        OmegaConf.set_struct(job, False)
        return job

    return compose_with
