"""Every loop stands once: its entry gives its functions, its keys and the options that belong to it."""

import inspect

import pytest

from thesis_ml.cli.groups import list_groups
from thesis_ml.cli.train import DISPATCH
from thesis_ml.training_loops.registry import LOOPS, Loop, find_owner, find_readers


@pytest.mark.parametrize("loop", LOOPS.values(), ids=list(LOOPS))
def test_module_of_a_loop_parses_runs_and_trains(loop: Loop) -> None:
    module = loop.load()

    assert next(iter(inspect.signature(module.parse).parameters)) == "cfg"
    assert list(inspect.signature(module.run).parameters)[:2] == ["settings", "start"]
    assert next(iter(inspect.signature(module.train).parameters)) == "cfg"


def test_the_command_calls_every_loop() -> None:
    assert {name: DISPATCH[name] for name in LOOPS} == {name: loop.train for name, loop in LOOPS.items()}


def test_options_of_a_loop_exist() -> None:
    groups = list_groups()

    missing = [
        (group, option)
        for loop in LOOPS.values()
        for group, options in loop.own_options.items()
        for option in options
        if option not in groups[group]
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("group", "option", "loop"),
    [
        ("phase1/trainer", "adversarial", "gan_ae"),
        ("phase1/decoder", "diffusion", "diffusion_ae"),
        ("phase1/trainer", "ae", None),
        ("phase1/encoder", "mlp", None),
    ],
)
def test_find_owner_names_the_loop_that_alone_takes_an_option(group: str, option: str, loop: str | None) -> None:
    assert find_owner(group, option) == loop


@pytest.mark.parametrize(
    ("key", "loops"),
    [
        ("phase1.encoder.enc_hidden", ["ae", "gan_ae", "diffusion_ae"]),
        ("phase1.critic.hidden", ["gan_ae"]),
        ("task", ["test_mlp"]),
        ("general", ["test_mlp"]),
        ("phase2", []),
    ],
)
def test_find_readers_names_the_loops_that_read_a_key(key: str, loops: list[str]) -> None:
    assert find_readers(key) == loops
