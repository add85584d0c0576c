"""What is said of a critic that fails, and when."""

import pytest

from thesis_ml.training_loops.critic_watch import CriticWatch

WELL = {"score_real": 0.1, "score_fake": -0.1, "critic_accuracy": 0.6, "critic_loss": 1.9}
BLIND = {"score_real": 0.1234, "score_fake": 0.1231, "critic_accuracy": 0.501, "critic_loss": 2.0}
WILD = {"score_real": 612.0, "score_fake": -1e4, "critic_accuracy": 1.0, "critic_loss": 0.0}


@pytest.mark.parametrize(
    ("numbers", "kind", "named"),
    [
        (BLIND, "collapsed in epoch 4", ("0.1234", "0.1231", "0.501")),
        (WILD, "diverged in epoch 4", ("612", "-1e+04", "0")),
    ],
)
def test_watch_says_what_went_wrong_with_the_numbers_and_only_once(
    numbers: dict[str, float], kind: str, named: tuple[str, ...]
) -> None:
    watch = CriticWatch(0, "hinge")

    (text,), again = watch.find_troubles(3, numbers, numbers), watch.find_troubles(4, numbers, numbers)

    assert kind in text
    assert all(number in text for number in named)
    assert list(again) == []


@pytest.mark.parametrize(
    ("adversarial_loss", "remedy"),
    [
        ("hinge", "or use phase1.trainer.adversarial_loss=wgan_gp"),
        ("wgan_gp", "or raise phase1.trainer.gradient_penalty"),
    ],
)
def test_remedy_of_a_critic_that_diverges_is_one_that_the_run_does_not_have_yet(
    adversarial_loss: str, remedy: str
) -> None:
    (text,) = CriticWatch(0, adversarial_loss).find_troubles(3, WILD, WILD)

    assert text.endswith(f"lower phase1.trainer.critic_lr, {remedy}")


def test_watch_is_silent_of_a_critic_that_does_well_and_of_one_that_just_began() -> None:
    watch = CriticWatch(0, "hinge")

    assert list(watch.find_troubles(3, WELL, WELL)) == list(watch.find_troubles(0, BLIND, BLIND)) == []


def test_watch_is_silent_where_nothing_was_measured() -> None:
    nothing = dict.fromkeys(WELL, float("nan"))

    assert list(CriticWatch(0, "hinge").find_troubles(3, nothing, nothing)) == []


def test_watch_reports_the_other_kind_too_and_remembers_over_a_checkpoint() -> None:
    watch, restored = CriticWatch(0, "hinge"), CriticWatch(0, "hinge")
    watch.find_troubles(3, BLIND, BLIND)

    restored.load_state_dict(watch.state_dict())

    assert list(restored.find_troubles(4, BLIND, BLIND)) == []
    assert len(restored.find_troubles(5, WILD, WILD)) == 1


def test_generators_differ_and_go_on_after_a_checkpoint() -> None:
    watch, restored = CriticWatch(7, "hinge"), CriticWatch(7, "hinge")
    first = watch.make_generator().initial_seed()
    restored.load_state_dict(watch.state_dict())

    seeds = [part.make_generator().initial_seed() for part in (watch, restored, CriticWatch(8, "hinge"))]

    assert seeds[0] == seeds[1] != first
    assert len({first, *seeds}) == 3
