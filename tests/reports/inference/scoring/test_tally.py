"""Closure of reconstructions whose losses are known."""

from collections.abc import Callable

import numpy as np
import pytest

from stored_events import FEATURES, TYPES, make_events, stack_features
from thesis_ml.data.events import Events, iterate_blocks
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.scoring.tally import ClosureTable, ClosureTally


def reconstruct(events: Events, seed: int = 0) -> ModelOutput:
    """5% resolution in pT and E, 0.02 in eta; each tenth type is taken for the next; MET 10 GeV too high."""
    generator = np.random.default_rng(seed + int(events.index[0]))
    kinematics = stack_features(events)
    kinematics[:, :2] *= generator.normal(1, 0.05, (len(kinematics), 1))
    kinematics[:, 2] += generator.normal(0, 0.02, len(kinematics))
    types = events.types
    is_wrong = generator.random(len(types)) < 0.1
    return ModelOutput(
        scores={},
        kinematics=kinematics,
        types=np.where(is_wrong, (types + 1) % 3, types),
        globals=events.met + np.array([10.0, 0.0]),
        codes=(types * 2)[:, None],
    )


def measure(events: Events, n_events: int = 5000) -> ClosureTable:
    tally = ClosureTally(FEATURES, TYPES, [0], [6])
    for block in iterate_blocks(events, n_events):
        tally.add(block, reconstruct(block))
    return tally.summarise()


def test_residuals_are_found_in_every_group() -> None:
    table = measure(make_events(5000))

    for group in ("all", "type jet", "label 0", "pt 40-60"):
        assert table.residuals[group, "pt"].width68 == pytest.approx(0.05, rel=0.05)
        assert table.residuals[group, "eta"].width68 == pytest.approx(0.02, rel=0.05)
        assert table.residuals[group, "phi"].width68 == pytest.approx(0, abs=1e-4)
        assert table.residuals[group, "pt"].tails == pytest.approx(0.003, abs=0.004)
    assert table.residuals["pt 0-40", "E"].n_tokens > 0
    by_type = [part.n_tokens for (group, name), part in table.residuals.items() if (group[:4], name) == ("type", "E")]
    assert sum(by_type) == table.residuals["all", "E"].n_tokens


def test_confusion_and_codes_are_counted_by_true_type() -> None:
    events = make_events(3000)

    table = measure(events)

    assert table.confusion.sum(axis=1).tolist() == np.bincount(events.types).tolist()
    assert table.confusion.trace() / table.confusion.sum() == pytest.approx(0.9, abs=0.01)
    assert table.codes[0][1].tolist() == [0, 0, (events.ids == 2).sum(), 0, 0, 0]


def test_code_lies_at_the_mean_of_its_reconstructed_objects_around_the_circle() -> None:
    events = make_events(600)
    tally = ClosureTally(FEATURES, TYPES, [0], [4, 2])
    codes = np.stack((np.arange(events.n_tokens) % 3, np.zeros(events.n_tokens, dtype=np.int64)), axis=1)
    kinematics = stack_features(events)
    is_first = codes[:, 0] == 0
    kinematics[is_first, 3] = np.where(np.arange(is_first.sum()) % 2, np.pi - 0.1, -np.pi + 0.1)

    for block, part in zip(
        iterate_blocks(events, 250), np.split(np.arange(len(codes)), _ends(events, 250)), strict=True
    ):
        tally.add(block, ModelOutput({}, kinematics[part], np.full(len(part), 2), None, codes[part]))
    first, second = tally.summarise().places

    assert first.mean[0, :2] == pytest.approx(kinematics[is_first, 1:3].mean(axis=0))
    assert abs(first.mean[0, 2]) > 3.1
    assert np.isnan(first.mean[3]).all()
    assert first.types.tolist() == [2, 2, 2, -1]
    assert second.mean[0, 0] == pytest.approx(kinematics[:, 1].mean())


def _ends(events: Events, size: int) -> list[int]:
    """Return where the tokens of all blocks but the last end."""
    return [int(events.lengths[:stop].sum()) for stop in range(size, events.n_events, size)]


def test_event_quantities_are_paired() -> None:
    events = make_events(3000)

    table = measure(events)

    assert table.true["ht"].shape == table.reconstructed["ht"].shape == (3000,)
    has_tokens = events.lengths > 0
    assert np.std(table.reconstructed["ht"][has_tokens] / table.true["ht"][has_tokens]) < 0.06
    assert np.isnan(table.true["m_bb"]).any()
    assert table.met[1][:, 0] == pytest.approx(table.met[0][:, 0] + 10)
    assert 0 <= table.below_shell < 0.5


def test_blocks_do_not_matter_for_the_counts() -> None:
    events = make_events(400)
    tallies = []
    whole = reconstruct(events)
    for size in (400, 37):
        tally, start = ClosureTally(FEATURES, TYPES, [0], [6]), 0
        first_event = 0
        for block in iterate_blocks(events, size):
            stop = start + len(block.ids)
            tokens, rows = slice(start, stop), slice(first_event, first_event + block.n_events)
            part = ModelOutput(
                {}, whole.kinematics[tokens], whole.types[tokens], whole.globals[rows], whole.codes[tokens]
            )
            tally.add(block, part)
            start, first_event = stop, rows.stop
        tallies.append(tally.summarise())

    assert tallies[0].residuals == tallies[1].residuals
    np.testing.assert_array_equal(tallies[0].confusion, tallies[1].confusion)
    np.testing.assert_allclose(tallies[0].reconstructed["ht"], tallies[1].reconstructed["ht"])


def test_a_model_without_energies_types_and_globals_has_residuals_only() -> None:
    events = make_events()
    tally = ClosureTally(("pt", "eta"), TYPES, [0], [])

    tally.add(events, ModelOutput({}, stack_features(events)[:, 1:3]))
    table = tally.summarise()

    assert (table.true, table.confusion, table.below_shell, table.met, table.codes) == ({}, None, None, None, None)
    assert (table.true_below_shell, table.jet_mass_width68) == (None, None)
    assert {name for _, name in table.residuals} == {"pt", "eta"}


def tally_copy(events: Events, change_tokens: Callable[[np.ndarray], np.ndarray] = np.copy) -> ClosureTable:
    """Return the closure of copies of the objects, of which a function changes E, pt, eta, phi."""
    tally = ClosureTally(FEATURES, TYPES, [0], [])
    for block in iterate_blocks(events, 700):
        tally.add(block, ModelOutput({}, change_tokens(stack_features(block)), block.types, block.met))
    return tally.summarise()


def scale_mass(kinematics: np.ndarray, width: float, seed: int = 4) -> np.ndarray:
    """Multiply the mass of each object by a factor from N(1, width), its momentum unchanged."""
    energy, pt, eta, phi = kinematics.T
    momentum = pt * np.cosh(eta)
    factors = np.random.default_rng(seed).normal(1, width, len(pt))
    return np.stack((np.hypot(momentum, factors * np.sqrt(energy**2 - momentum**2)), pt, eta, phi), axis=1)


def test_resolution_of_the_jet_mass_is_that_of_its_scale() -> None:
    events = make_events(6000)

    smeared = tally_copy(events, lambda kinematics: scale_mass(kinematics, 0.02))

    assert smeared.jet_mass_width68 == pytest.approx(0.02, rel=0.05)
    assert smeared.residuals["all", "pt"].width68 == pytest.approx(0, abs=1e-4)
    assert tally_copy(events).jet_mass_width68 == pytest.approx(0, abs=1e-4)


def test_resolution_of_the_jet_mass_is_of_jets_with_a_mass_alone() -> None:
    events = make_events(3000)
    massless = events.with_features(E=events.features["pt"] * np.cosh(events.features["eta"]))
    kinematics = stack_features(events)
    is_electron = events.ids == 3
    kinematics[is_electron, 0] *= np.random.default_rng(6).uniform(1, 2, is_electron.sum())
    tally = ClosureTally(FEATURES, TYPES, [0], [])

    tally.add(events, ModelOutput({}, kinematics, events.types, events.met))

    assert tally.summarise().jet_mass_width68 == pytest.approx(0, abs=1e-4)
    assert tally_copy(massless).jet_mass_width68 is None


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_share_of_true_objects_below_the_mass_shell_is_counted(share: float) -> None:
    events = make_events(4000)
    is_below = np.random.default_rng(5).random(events.n_tokens) < share
    momentum = events.features["pt"] * np.cosh(events.features["eta"])
    below = events.with_features(E=np.where(is_below, 0.95 * momentum, events.features["E"]))

    table = tally_copy(below)

    assert table.true_below_shell == table.below_shell == pytest.approx(is_below.mean(), abs=1e-12)


def test_share_of_reconstructed_objects_below_the_mass_shell_is_counted_apart() -> None:
    def push_below(kinematics: np.ndarray) -> np.ndarray:
        changed = kinematics.copy()
        changed[::20, 0] = 0.95 * changed[::20, 1] * np.cosh(changed[::20, 2])
        return changed

    table = tally_copy(make_events(4000), push_below)

    assert (table.true_below_shell, table.below_shell) == (0.0, pytest.approx(0.05, abs=1e-3))
