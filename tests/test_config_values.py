"""Every key of every yaml refuses what is out of range or of the wrong type, in full, before data is read."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.hydra_errors import list_leaves
from thesis_ml.cli.train.guardrails import check_job
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import find_configs

WHOLE = ("2.5", "true", "nan", "inf", "abc", "[1]", "1e3", "10000000000000000000")
"""What is no whole number, or none that a machine has."""
REAL = ("nan", "inf", "-inf", "true", "abc", "[1]", "1e39")
"""What is no number, or none of 32 bits."""
SWITCH = ("1", "0", "maybe", "null", "[true]")
TEXT = ("5", "true", "null", "[a]")

COUNT = ("0", "-1", *WHOLE)
WIDTH = (*COUNT, "16385", "null")
WIDTHS = ("8", "null", *(f"[8,{value}]" for value in (*COUNT, "16385")))
SHARE = ("-0.1", "1.1", *REAL)
NAMES = ("abc", *TEXT)

TRAINER: Mapping[str, tuple[str, ...]] = {
    "epochs": (*COUNT, "null"),
    "batch_size": (*COUNT, "null"),
    "lr": ("0", "-1e-3", *REAL, "null"),
    "weight_decay": ("-0.1", *REAL, "null"),
    "grad_clip": ("0", "-1", *REAL),
    "seed": ("-1", *WHOLE, "null"),
    "device": ("tpu", "cuda:0", *TEXT),
    "precision": ("fp16", "32", *TEXT),
    "n_threads": (*COUNT, "1025"),
    "schedule": NAMES,
    "warmup_epochs": ("-1", "10", *REAL, "null"),
    "early_stopping": COUNT,
    "accumulate": (*COUNT, "null"),
    "average_decay": SHARE,
    "monitor": ("abc", "5", "true", "[a]", "codebook"),
    "compile": SWITCH,
    "checkpoint_every_s": ("0", "-1", *REAL, "null"),
    "max_time_s": ("0", "-1", *REAL),
}
WRONG: Mapping[str, tuple[str, ...]] = {
    "env.data_root": ("''", *TEXT),
    "env.output_root": ("'  '", *TEXT),
    "env.user": ("5", "true", "[a]"),
    "data.name": ("' '", *TEXT),
    "data.path": ("''", "5", "true", "[a.h5]"),
    "data.datasets.x_train": ("''", "X_val", *TEXT),
    "data.datasets.x_val": ("'/'", "X_test", *TEXT),
    "data.datasets.x_test": ("''", "X_train", *TEXT),
    "data.n_tokens": COUNT,
    "data.limit_events": COUNT,
    "data.encoding": NAMES,
    "data.features": ("[]", "[pt,pt]", "[pt,charge]", "pt", "null"),
    "data.phi": NAMES,
    "data.order": NAMES,
    "data.train_classes": ("[]", "[1,1]", "[-1]", "[1.5]", "[true]", "1"),
    "data.num_workers": ("1", "-1", *WHOLE, "null"),
    "logging.save_artifacts": SWITCH,
    "logging.make_plots": SWITCH,
    "logging.show_plots": SWITCH,
    "logging.fig_format": NAMES,
    "logging.dpi": ("0", "29", "1201", *WHOLE, "null"),
    "logging.file_naming": (
        "''",
        "losses",
        "'{family}/a'",
        "'{famly}'",
        "'{family}:'",
        "'{'",
        "'{family[x]}'",
        "'{family:.1}'",
        "'{family}{epoch:999999999999d}'",
        f"'{'x' * 200}{{family}}'",
        "5",
    ),
    "logging.moments": ("[on_epoch_start]", "on_test_end", "null", "[5]"),
    **{
        f"logging.families.{name}": SWITCH
        for name in ("losses", "metrics", "recon", "codebook", "latency", "adversarial", "diffusion")
    },
    "logging.tracker": NAMES,
    "phase1.encoder.enc_hidden": WIDTHS,
    "phase1.encoder.dropout": ("-0.1", "1", "0.995", *REAL, "null"),
    "phase1.encoder.activation": NAMES,
    "phase1.encoder.id_embed_dim": WIDTH,
    "phase1.encoder.context_dim": WIDTH,
    "phase1.encoder.n_neighbors": COUNT,
    "phase1.encoder.pair_bias": SWITCH,
    **{f"phase1.{part}.{key}": WIDTH for part in ("encoder", "decoder") for key in ("hidden_dim", "ff_hidden")},
    **{f"phase1.{part}.n_layers": (*COUNT, "101", "null") for part in ("encoder", "decoder")},
    **{f"phase1.{part}.n_heads": ("3", "128", *COUNT, "null") for part in ("encoder", "decoder")},
    "phase1.decoder.context_dim": WIDTH,
    "phase1.decoder.dec_hidden": WIDTHS,
    "phase1.decoder.dropout": ("-0.1", "1", *REAL, "null"),
    "phase1.decoder.activation": NAMES,
    "phase1.decoder.globals_head": SWITCH,
    "phase1.decoder.globals_hidden": WIDTH,
    "phase1.decoder.globals_beta": ("-1", *REAL, "null"),
    "phase1.decoder.globals_shape_latents": SWITCH,
    "phase1.decoder.types_beta": ("-1", *REAL, "null"),
    "phase1.decoder.denoiser_hidden": ("[]", *WIDTHS),
    "phase1.decoder.shapes_latents": SWITCH,
    "phase1.decoder.diffusion_beta": ("0", "-1", *REAL, "null"),
    "phase1.decoder.schedule": NAMES,
    "phase1.decoder.prediction": NAMES,
    "phase1.decoder.min_snr": ("0", "-1", *REAL),
    "phase1.decoder.resolution": ("0", "-1", *REAL, "null"),
    "phase1.decoder.sampler": NAMES,
    "phase1.decoder.n_steps": (*COUNT, "1001", "null"),
    "phase1.decoder.reports_use": NAMES,
    "phase1.latent_space.latent_dim": WIDTH,
    "phase1.latent_space.codebook_size": (*COUNT, "1048577", "null"),
    "phase1.latent_space.beta": ("-0.1", *REAL, "null"),
    "phase1.latent_space.beta_warmup_epochs": ("-1", "10", "9.5", *REAL, "null"),
    "phase1.latent_space.levels": ("[]", "[8,2]", "[1024,1025]", "[8,8.5]", "[true]", "8", "null"),
    "phase1.latent_space.n_quantizers": (*COUNT, "65", "null"),
    "phase1.latent_space.distance": NAMES,
    "phase1.latent_space.gradient": NAMES,
    "phase1.latent_space.code_dim": (*COUNT, "32", "33"),
    "phase1.latent_space.ema": SWITCH,
    "phase1.latent_space.ema_decay": (*SHARE, "null"),
    "phase1.latent_space.revive_below": (*SHARE, "null"),
    "phase1.latent_space.revive_share": (*SHARE, "null"),
    "phase1.loss.weights": ("{pt:-1}", "{pt:nan}", "{pt:2e6}", "{charge:1}", "{E:0,pt:0,eta:0,phi:0}", "[1]", "1"),
    "phase1.loss.energy_weights": ("E", *NAMES),
    "phase1.loss.energy_power": ("0", "2", "-1", "4.1", *REAL, "null"),
    "phase1.loss.epsilon": ("0", "3", "1e-5", *REAL, "null"),
    "phase1.loss.n_iterations": (*COUNT, "1001", "null"),
    "phase1.loss.delta": ("0", "-1", *REAL, "null"),
    **{f"phase1.trainer.{key}": values for key, values in TRAINER.items()},
    "phase1.trainer.adversarial_loss": NAMES,
    "phase1.trainer.adversarial_weight": ("-0.1", *REAL, "null"),
    "phase1.trainer.adversarial_start": ("-1", *WHOLE, "null"),
    "phase1.trainer.adaptive_weight": SWITCH,
    "phase1.trainer.feature_matching": ("-1", *REAL, "null"),
    "phase1.trainer.critic_lr": ("0", "-1e-3", *REAL, "null"),
    "phase1.trainer.critic_steps": (*COUNT, "101", "null"),
    "phase1.trainer.gradient_penalty": ("-1", *REAL, "null"),
    "phase1.critic.hidden": ("[]", *WIDTHS),
    **{f"phase1.critic.{key}": WIDTH for key in ("context_dim", "id_embed_dim", "hidden_dim", "ff_hidden")},
    "phase1.critic.n_layers": (*COUNT, "101", "null"),
    "phase1.critic.n_heads": ("3", "128", *COUNT, "null"),
    "phase1.critic.activation": NAMES,
    "phase1.trainer.sample_every": (*COUNT, "null"),
    "resume": ("[1]", "{a:1}", "outputs/runs/x"),
    "name": ("[1]", "{a:1}"),
    **{f"data.synthetic.{name}": (*COUNT, "10000001", "null") for name in ("n_train", "n_val", "n_test")},
    "data.synthetic.seed": ("-1", *WHOLE, "null"),
    "data.synthetic.signal_fraction": (*SHARE, "null"),
    "data.synthetic.inject": NAMES,
    "data.synthetic.inject_fraction": (*SHARE, "null"),
    "data.synthetic.resonance.mass_gev": ("149", "5001", *REAL, "null"),
    "data.synthetic.resonance.width_gev": ("0", "101", *REAL, "null"),
    "task": NAMES,
    "general.model.hidden": WIDTHS,
    "general.model.dropout": ("-0.1", "1", *REAL, "null"),
    "general.model.activation": NAMES,
    **{f"general.table.{name}": (*COUNT, "10000001", "null") for name in ("n_train", "n_val", "n_test")},
    "general.table.n_columns": ("2", "1001", *WHOLE, "null"),
    "general.table.noise": ("-0.1", *REAL, "null"),
    "general.table.seed": ("-1", *WHOLE, "null"),
    "general.events.representation": NAMES,
    "general.events.n_tokens": COUNT,
    "general.events.signal_classes": ("[]", "[1.5]", "[true]", "1", "null"),
    "general.events.background_classes": ("[1]", "[1.5]", "1"),
    **{f"general.trainer.{key}": values for key, values in TRAINER.items()},
    "general.trainer.num_workers": ("1", "-1", *WHOLE, "null"),
}
CONTEXT_KEYS: Mapping[str, tuple[str, ...]] = {
    "deepsets": ("context_dim",),
    "gnn": ("n_neighbors",),
    "transformer": ("hidden_dim", "n_layers", "n_heads", "ff_hidden", "pair_bias"),
}
"""Keys that one family of encoders, or of encoders and decoders, has."""
DENOISER_KEYS = (
    "denoiser_hidden",
    "shapes_latents",
    "diffusion_beta",
    "schedule",
    "prediction",
    "min_snr",
    "resolution",
    "sampler",
    "n_steps",
    "reports_use",
)
"""Keys that only the decoder of the loop `diffusion_ae` has."""

ADVERSARIAL_KEYS = ("adversarial", "adaptive_weight", "feature_matching", "critic_", "gradient_penalty")
ATTENTION_KEYS = ("hidden_dim", "n_layers", "n_heads", "ff_hidden")

STARTS: Mapping[str, tuple[str, ...]] = {
    "": ("env=stoomboot", "phase1/loss=huber"),
    **{
        f"phase1.{part}.{key}": (f"phase1/{part}={name}",)
        for part in ("encoder", "decoder")
        for name, keys in CONTEXT_KEYS.items()
        for key in keys
    },
    **{f"phase1.decoder.{key}": ("loop=diffusion_ae",) for key in DENOISER_KEYS},
    "phase1.trainer.sample_every": ("loop=diffusion_ae",),
    "phase1.loss.epsilon": ("phase1/loss=sinkhorn",),
    "phase1.loss.n_iterations": ("phase1/loss=sinkhorn",),
    "data.synthetic": ("data=synthetic",),
    "phase1.latent_space.levels": ("phase1/latent_space=fsq",),
    "phase1.latent_space.n_quantizers": ("phase1/latent_space=rvq",),
    "phase1.latent_space.beta_warmup_epochs": ("phase1/latent_space=kl",),
    **{f"phase1.trainer.{key}": ("loop=gan_ae",) for key in ADVERSARIAL_KEYS},
    "phase1.critic": ("loop=gan_ae",),
    **{f"phase1.critic.{key}": ("loop=gan_ae", "phase1/critic=transformer") for key in ATTENTION_KEYS},
    "task": ("loop=test_mlp",),
    "general": ("loop=test_mlp",),
}
"""By the start of a key: options that have all keys of their groups."""
NOT_VALUES = ("run_dir",)


@pytest.fixture(scope="module")
def compose_for() -> Callable[[str], DictConfig]:
    """Return the configuration that reads a key, composed once: that takes longer than all checks of a key together."""
    known: dict[tuple[str, ...], DictConfig] = {}

    def find(key: str) -> DictConfig:
        options = STARTS[max((start for start in STARTS if key.startswith(start)), key=len)]
        if options not in known:
            GlobalHydra.instance().clear()
            with initialize_config_dir(str(find_configs()), version_base="1.3"):
                known[options] = compose("train", overrides=list(options), return_hydra_config=True)
        return known[options]

    return find


def set_value(composed: DictConfig, key: str, text: str) -> DictConfig:
    """Return the configuration with `key=text` as Hydra reads it from the command line."""
    job = composed.copy()
    OmegaConf.update(job, key, OverridesParser.create().parse_override(f"{key}={text}").value(), merge=False)
    return job


@pytest.mark.parametrize("n_values", [2, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("key", list(WRONG))
def test_key_refuses_values_out_of_range_or_of_another_type(
    key: str, n_values: int | None, compose_for: Callable[[str], DictConfig]
) -> None:
    for text in WRONG[key][:n_values]:
        with pytest.raises(ConfigError) as caught:
            check_job(set_value(compose_for(key), key, text))

        # Two data sets of one name are found at the group, whichever key made them equal.
        message = str(caught.value)
        assert message.startswith(key) or (key.startswith("data.datasets") and "another dataset" in message), text
        assert re.search(r"must be|expected|available|allowed", message), message


def list_yaml_keys() -> set[str]:
    """Return the full key of every value in the yaml files of the groups that a loop reads."""
    keys = {*list_leaves(read("train.yaml")), *list_leaves(read("loop/test_mlp.yaml"))}
    for group in ("env", "data", "logging", "general/trainer", *(f"phase1/{part}" for part in LOOP_PARTS)):
        for path in (find_configs() / group).glob("*.yaml"):
            prefix = group.replace("/", ".")
            keys |= set(list_leaves(read(path.relative_to(find_configs()).as_posix()), prefix))
    return {key for key in keys if key.rpartition(".")[2] not in ("name", "defaults") or key in ("name", "data.name")}


LOOP_PARTS = ("encoder", "decoder", "latent_space", "loss", "critic", "trainer")


def read(name: str) -> Any:
    return yaml.safe_load((Path(find_configs()) / name).read_text(encoding="utf-8"))


def test_every_key_of_every_yaml_has_wrong_values_here() -> None:
    assert list_yaml_keys() - set(WRONG) - {"defaults", *NOT_VALUES} == set()


@pytest.mark.parametrize("start", list(STARTS))
def test_values_that_stand_in_the_files_are_right(start: str, compose_for: Callable[[str], DictConfig]) -> None:
    check_job(compose_for(start))


@pytest.mark.parametrize(
    ("overrides", "is_warned"),
    [
        (("phase1/latent_space=linear", "phase1.latent_space.latent_dim=4"), True),
        (("phase1/latent_space=linear", "phase1.latent_space.latent_dim=3"), False),
        (("phase1/latent_space=none", "data.features=[pt,eta,phi]", "phase1.latent_space.latent_dim=3"), True),
        (("phase1/latent_space=kl", "phase1.latent_space.latent_dim=4"), True),
        (("phase1/latent_space=vq", "phase1.latent_space.latent_dim=32"), False),
        (("phase1/latent_space=fsq", "phase1.latent_space.levels=[5,5,5,5]"), False),
    ],
)
def test_latent_as_wide_as_the_features_is_warned_about(
    overrides: tuple[str, ...], is_warned: bool, compose_cfg
) -> None:
    from thesis_ml.training_loops import autoencoder

    warning = autoencoder.parse(compose_cfg(*overrides)).copy_warning

    assert (warning is not None) == is_warned
    assert warning is None or re.search(r"can copy the [34] features .* use latent_dim < [34]", warning)


@pytest.mark.parametrize(
    ("overrides", "missing"),
    [
        (("phase1/encoder=transformer", "phase1.encoder.pair_bias=true", "data.features=[pt,eta,phi]"), "E"),
        (("phase1/encoder=gnn", "phase1.encoder.n_neighbors=3", "data.features=[E,pt]"), "eta, phi"),
        (("phase1/encoder=transformer", "data.features=[pt,eta,phi]"), ""),
        (("phase1/encoder=gnn", "data.features=[E,pt]"), ""),
        (("phase1/encoder=gnn", "phase1.encoder.n_neighbors=3", "data.features=[eta,phi]"), ""),
    ],
)
def test_features_that_a_component_needs_are_asked_for_before_data_is_read(
    overrides: tuple[str, ...], missing: str, compose_cfg
) -> None:
    from thesis_ml.training_loops import autoencoder

    if not missing:
        autoencoder.parse(compose_cfg(*overrides))
        return
    with pytest.raises(
        ConfigError, match=rf"^phase1\.encoder: needs {missing}, which data\.features leaves out; add it"
    ):
        autoencoder.parse(compose_cfg(*overrides))
