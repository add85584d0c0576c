"""Every key refuses a value out of range or of another type, in full, before data is read.

The wrong values follow from the field of a key: its type, its limits, its choices and whether it may be null. Only what
several keys must satisfy together, and keys without a field, are written down here.
"""

import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args, get_origin

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from reference_page import load_reference
from thesis_ml.cli.train.guardrails import check_job
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Entries, Range, Text
from thesis_ml.training_loops.registry import find_owner
from thesis_ml.utils.paths import find_configs

REFERENCE = load_reference()

OF_TYPE: Mapping[type, tuple[str, ...]] = {
    int: ("2.5", "true", "nan", "inf", "abc", "[1]", "1e3", "10000000000000000000"),
    float: ("nan", "inf", "-inf", "true", "abc", "[1]", "1e39"),
    bool: ("1", "0", "maybe", "[true]"),
    str: ("5", "true", "[a]"),
}
"""Values of another type, or beyond what a machine has."""

TOGETHER: Mapping[str, tuple[str, ...]] = {
    "data.datasets.x_train": ("X_val", "'/'"),
    "data.datasets.x_val": ("X_test",),
    "data.num_workers": ("1", "-1"),
    "general.trainer.num_workers": ("1", "-1"),
    "general.trainer.warmup_epochs": ("10",),
    "general.trainer.monitor": ("abc", "codebook"),
    "general.events.background_classes": ("[1]",),
    "data.synthetic.resonance.width_gev": ("101",),
    "logging.moments": ("[on_epoch_start]", "on_test_end"),
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
    ),
    "phase1.decoder.n_heads": ("3", "128"),
    "phase1.encoder.n_heads": ("3", "128"),
    "phase1.critic.n_heads": ("3", "128"),
    "phase1.latent_space.beta_warmup_epochs": ("10", "9.5"),
    "phase1.latent_space.code_dim": ("32", "33"),
    "phase1.latent_space.levels": ("[1024,70000]",),
    "phase1.loss.energy_power": ("2",),
    "phase1.loss.weights": ("{charge:1}", "{E:0,pt:0,eta:0,phi:0}", "[1]", "1"),
    "phase1.trainer.monitor": ("abc", "codebook"),
    "phase1.trainer.warmup_epochs": ("10",),
}
"""Values that another key forbids, or that a rule of their own refuses."""

FILLED = ("general.trainer.monitor",)
"""Keys that the loop fills where they are null."""

WITHOUT_FIELD: Mapping[str, tuple[str, ...]] = {
    "name": ("[1]", "{a:1}"),
    "resume": ("[1]", "{a:1}", "outputs/runs/x"),
}


def list_wrong(key: Any) -> list[str]:
    """Return wrong values of a key as a user would type them."""
    kind = REFERENCE.unwrap(key.kind)
    marks = list(REFERENCE.list_marks(key.kind))
    wrong = [*TOGETHER.get(key.name, ())]
    if choices := REFERENCE.list_choices(key.kind):
        wrong += OF_TYPE[bool] if kind is bool else ("abc", *(value for value in OF_TYPE[str] if value not in choices))
    elif get_origin(kind) is tuple:
        wrong += list_wrong_lists(key.kind, marks)
    elif get_origin(kind) is not None:
        wrong += [f"{{pt:{value}}}" for value in list_out_of_range(REFERENCE.list_marks(get_args(kind)[1]))]
    else:
        wrong += [*list_out_of_range(marks), *OF_TYPE[kind]]
    may_be_null = REFERENCE.is_optional(key.kind) or key.name in FILLED
    return [*wrong, *(() if may_be_null else ("null",))]


def list_wrong_lists(kind: Any, marks: list[Any]) -> Iterator[str]:
    """Yield what is no list, lists of a wrong length, and lists with a wrong entry."""
    yield "8"
    limits = next((mark for mark in marks if isinstance(mark, Entries)), Entries())
    entry = REFERENCE.find_entry(kind)
    if limits.at_least > 0:
        yield "[]"
    if limits.are_distinct:
        yield "[pt,pt]" if REFERENCE.list_choices(entry) else "[1,1]"
    inner = REFERENCE.unwrap(entry)
    values = ("charge", "5") if REFERENCE.list_choices(entry) else (*list_out_of_range(REFERENCE.list_marks(entry)),)
    yield from (f"[{value}]" for value in (*values, *OF_TYPE.get(inner, ())[:3]))


def list_out_of_range(marks: Any) -> Iterator[str]:
    """Yield values just outside the limits."""
    for mark in marks:
        if isinstance(mark, Text):
            yield "'  '"
        if isinstance(mark, Range):
            step = 1 if isinstance(mark.low, int) else 0.01
            yield f"{mark.low if mark.excludes_low else mark.low - step:g}"
            yield f"{mark.low - 1:g}"
            if mark.high is not None:
                yield str(mark.high + (1 if isinstance(mark.high, int) else 0.01 * mark.high))


def list_cases() -> dict[str, tuple[tuple[str, ...], str, list[str]]]:
    """Return by a name of its own: the options that compose a key, the key, and its wrong values."""
    cases: dict[str, tuple[tuple[str, ...], str, list[str]]] = {
        name: ((), name, list(values)) for name, values in WITHOUT_FIELD.items()
    }
    for option, kind in REFERENCE.list_options().items():
        for key in REFERENCE.list_option_keys(option, kind):
            if key.name.endswith(".name") and key.name != "data.name":
                continue
            options = list_choosing(option, key.name)
            cases[f"{key.name} ({' '.join(options)})"] = (options, key.name, list_wrong(key))
    for key in REFERENCE.list_table_keys():
        cases[key.name] = (("loop=test_mlp",), key.name, list_wrong(key))
    return cases


def list_choosing(option: str, key: str) -> tuple[str, ...]:
    """Return the overrides that choose an option and the loop that reads it."""
    group, _, name = option.rpartition("/")
    loop = find_owner(group, name)
    chosen = () if not group or option in PLAIN else (f"{group}={name}",)
    chosen = ("data=synthetic",) if key.startswith("data.synthetic") else chosen
    chosen = ("env=stoomboot",) if key.startswith("env.") else chosen
    chosen = (*chosen, "phase1/encoder=identity") if option == "phase1/latent_space/scalar" else chosen
    return (*((f"loop={loop}",) if loop else ()), *chosen)


PLAIN = ("phase1/encoder/mlp", "phase1/decoder/mlp", "phase1/latent_space/vq", "phase1/loss/mse", "phase1/trainer/ae")
"""Options that train.yaml composes anyway."""

CASES = list_cases()


@pytest.fixture(scope="module")
def compose_for() -> Callable[[tuple[str, ...]], DictConfig]:
    """Return a copy of the configuration with some options, composed once: that takes longer than checks of a key."""
    known: dict[tuple[str, ...], bytes] = {}

    def find(options: tuple[str, ...]) -> DictConfig:
        if options not in known:
            GlobalHydra.instance().clear()
            with initialize_config_dir(str(find_configs()), version_base="1.3"):
                composed = compose("train", overrides=list(options), return_hydra_config=True)
            known[options] = pickle.dumps(composed)  # read anew in a tenth of the time that OmegaConf takes for a copy
        return pickle.loads(known[options])

    return find


def set_value(job: DictConfig, key: str, text: str) -> DictConfig:
    """Return the configuration with `key=text` as Hydra reads it from the command line."""
    OmegaConf.update(job, key, OverridesParser.create().parse_override(f"{key}={text}").value(), merge=False)
    return job


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    "values", [slice(1), pytest.param(slice(1, None), marks=pytest.mark.slow)], ids=["first", "others"]
)
@pytest.mark.parametrize("case", list(CASES))
def test_key_refuses_values_out_of_range_or_of_another_type(
    case: str, values: slice, compose_for: Callable[[tuple[str, ...]], DictConfig]
) -> None:
    options, key, wrong = CASES[case]
    for text in wrong[values]:
        with pytest.raises(ConfigError) as caught:
            check_job(set_value(compose_for(options), key, text))

        # Two data sets of one name are found at the group, whichever key made them equal.
        message = str(caught.value)
        assert message.startswith(key) or (key.startswith("data.datasets") and "another dataset" in message), text
        assert re.search(r"must be|expected|available|allowed", message), message


@pytest.mark.parametrize("options", sorted({options for options, _, _ in CASES.values()}), ids=" ".join)
def test_values_that_stand_in_the_files_are_right(
    options: tuple[str, ...],
    compose_for: Callable[[tuple[str, ...]], DictConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THESIS_CLUSTER_USER", "someone")

    check_job(compose_for(options))


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

    warnings = autoencoder.parse(compose_cfg(*overrides)).warnings

    found = [re.search(r"can copy the [34] features .* use latent_dim < [34]", warning) for warning in warnings]
    assert any(found) == is_warned


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
