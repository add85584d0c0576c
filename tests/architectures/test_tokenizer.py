"""A trained model as a tokenizer: what goes in comes back, event by event, and what is no event is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch

import thesis_ml
from data_files import random_splits, write_tokens_file
from guides import ROOT, read_blocks
from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.architectures.tokenizer import Tokenizer, Tokens
from thesis_ml.data.config import DataConfig
from thesis_ml.data.physical import PhysicalEvents
from thesis_ml.errors import ConfigError, DataError

KINDS = {
    "none": {"name": "none", "latent_dim": 4},
    "linear": {"name": "linear", "latent_dim": 4},
    "kl": {"name": "kl", "latent_dim": 4},
    "vq": {"name": "vq", "latent_dim": 4, "codebook_size": 16},
    "rvq": {"name": "rvq", "latent_dim": 4, "codebook_size": 16, "n_quantizers": 3},
    "fsq": {"name": "fsq", "levels": [5, 4, 3]},
}
CODED = ("vq", "rvq", "fsq")


@pytest.fixture
def make_tokenizer(dims, many_events):
    """Make the tokenizer of a model that saw a few events, so that its codes are placed."""

    def make(kind: str, encoder: str = "mlp", decoder: str = "mlp") -> Tokenizer:
        torch.manual_seed(1)
        parts = {"encoder": {"name": encoder}, "decoder": {"name": decoder}, "loss": {"name": "mse"}}
        config = parse_model({**parts, "latent_space": KINDS[kind]}, "phase1")
        model = build_model(config, dims)
        for _ in range(3):
            model.train()(many_events)
        restored = RestoredModel(model.eval(), config, dims, dims.normalizer, None, "data", "0", 0, DataConfig())
        return Tokenizer(restored, fingerprint=kind)

    return make


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arguments of wrong types in, as they come from users, whose calls nothing checks."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def events() -> PhysicalEvents:
    """Events of 0 to 9 tokens, the first and the last without any."""
    generator = np.random.default_rng(5)
    lengths = np.array([0, *generator.integers(0, 10, 60), 0])
    n_tokens = lengths.sum()
    pt, eta = 30 + generator.exponential(40, n_tokens), generator.uniform(-2, 2, n_tokens)
    columns = {"E": pt * np.cosh(eta) * 1.05, "pt": pt, "eta": eta, "phi": generator.uniform(-3, 3, n_tokens)}
    met = np.stack((generator.exponential(40, len(lengths)), generator.uniform(-3, 3, len(lengths))), axis=1)
    return PhysicalEvents(columns, lengths, generator.integers(1, 8, n_tokens), met)


def take_events(events: PhysicalEvents, order: np.ndarray) -> PhysicalEvents:
    """Return some events in another order."""
    starts = np.cumsum(events.lengths) - events.lengths
    tokens = np.concatenate([np.arange(starts[event], starts[event] + events.lengths[event]) for event in order])
    columns = {name: values[tokens] for name, values in events.features.items()}
    return PhysicalEvents(columns, events.lengths[order], events.ids[tokens], events.met[order])


def assert_same(found: PhysicalEvents, expected: PhysicalEvents) -> None:
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.met, expected.met, rtol=1e-3, atol=1e-4)
    for name, values in expected.features.items():
        np.testing.assert_allclose(found.features[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_gives_what_the_model_reconstructs(make_tokenizer, events, many_events, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    decoded = tokenizer.decode(tokenizer.encode(events))
    normalizer, model = tokenizer.restored.normalizer, tokenizer.restored.model

    columns = torch.from_numpy(np.stack([events.features[name] for name in normalizer.features], axis=1))
    batch = many_events._replace(
        features=normalizer.encode_features(columns),
        types=torch.from_numpy(events.ids - 1),
        lengths=torch.from_numpy(events.lengths),
        globals=normalizer.encode_globals(torch.from_numpy(events.met)),
    )
    with torch.no_grad():
        output = model.reconstruct(batch, torch.Generator())
    physical = normalizer.decode_features(output.features).numpy()
    expected = PhysicalEvents(
        dict(zip(normalizer.features, physical.T, strict=True)),
        events.lengths,
        output.type_logits.argmax(dim=1).numpy() + 1,
        normalizer.decode_globals(output.globals).numpy(),
    )
    assert_same(decoded, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [("mlp", "mlp"), ("transformer", "gnn")])
def test_event_has_the_same_tokens_in_any_company(make_tokenizer, events, kind: str, parts: tuple[str, str]) -> None:
    tokenizer = make_tokenizer(kind, *parts)
    order = np.random.default_rng(0).permutation(events.n_events)

    together = tokenizer.decode(tokenizer.encode(events))
    in_small_batches = tokenizer.decode(tokenizer.encode(events, batch_size=7), batch_size=5)
    shuffled = tokenizer.decode(tokenizer.encode(take_events(events, order)))

    assert_same(in_small_batches, together)
    assert_same(shuffled, take_events(together, order))


@pytest.mark.parametrize("kind", CODED)
def test_codes_alone_decode_to_the_same_events(make_tokenizer, events, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    tokens = tokenizer.encode(events)

    assert tokens.codes.shape == (events.n_tokens, len(tokenizer.vocabulary.codebook_sizes))
    assert_same(tokenizer.decode(tokens.codes, events.lengths), tokenizer.decode(tokens))
    np.testing.assert_allclose(tokenizer.embed(tokens.codes), tokens.latents, rtol=1e-5, atol=1e-6)
    assert len(np.unique(tokens.codes[:, 0])) > 1


@pytest.mark.parametrize("kind", ["none", "linear", "kl", "vq"])
def test_latents_alone_decode_to_the_same_events(make_tokenizer, events, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    tokens = tokenizer.encode(events)

    assert_same(tokenizer.decode(tokens.latents, events.lengths), tokenizer.decode(tokens))


@pytest.mark.parametrize("kind", CODED)
def test_sequences_come_back(make_tokenizer, events, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    vocabulary, tokens = tokenizer.vocabulary, tokenizer.encode(events)

    sequences = tokenizer.to_sequences(tokens)

    n_quantisers = len(vocabulary.codebook_sizes)
    assert sequences.shape == (events.n_events, events.lengths.max() * n_quantisers + 2)
    assert (sequences < vocabulary.size).all()
    assert sequences[0].tolist() == [vocabulary.start, vocabulary.stop, *[vocabulary.pad] * (sequences.shape[1] - 2)]
    second = sequences[1][: 2 + events.lengths[1] * n_quantisers]
    codes = tokens.codes[: events.lengths[1]] + np.array(vocabulary.offsets)
    assert second.tolist() == [vocabulary.start, *codes.reshape(-1).tolist(), vocabulary.stop]
    again = tokenizer.read_sequences(sequences)
    np.testing.assert_array_equal(again.codes, tokens.codes)
    np.testing.assert_array_equal(again.lengths, tokens.lengths)
    assert_same(tokenizer.decode(again), tokenizer.decode(tokens))


def test_no_events_and_empty_events_survive(make_tokenizer) -> None:
    tokenizer = make_tokenizer("vq")

    for lengths in ([], [0, 0]):
        empty = tokenizer.make_events(np.zeros((0, 4)), lengths, ids=[], met=np.full((len(lengths), 2), 1.0))
        tokens = tokenizer.encode(empty)
        decoded = tokenizer.decode(tokens)
        assert tokens.codes.shape == (0, 1)
        assert decoded.n_events == len(lengths)
        assert np.isfinite(decoded.met).all()
        assert tokenizer.read_sequences(tokenizer.to_sequences(tokens)).n_events == len(lengths)


@pytest.mark.parametrize("kind", ["vq", "linear"])
def test_decoded_events_can_be_encoded(make_tokenizer, events, kind: str) -> None:
    tokenizer = make_tokenizer(kind)

    assert tokenizer.encode(tokenizer.decode(tokenizer.encode(events))).n_events == events.n_events


def test_arrays_lists_and_names_make_the_same_events(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("vq")
    table = np.stack([events.features[name] for name in tokenizer.features], axis=1)

    by_column = tokenizer.make_events(
        table.tolist(), events.lengths.tolist(), ids=events.ids.astype(float), met=events.met
    )
    by_name = tokenizer.make_events(dict(events.features), events.lengths, ids=events.ids, met=events.met)

    assert_same(by_column, events)
    np.testing.assert_array_equal(tokenizer.encode(by_name).codes, tokenizer.encode(events).codes)


def change(events: PhysicalEvents, what: str, value: object) -> PhysicalEvents:
    """Return events with the first token or event of one column replaced."""
    if what in events.features:
        column = events.features[what].copy()
        column[0] = value
        return replace(events, features={**events.features, what: column})
    column = getattr(events, what).astype(float).copy()
    column[(1, *[slice(None)] * (column.ndim - 1))] = value
    return replace(events, **{what: column if column.ndim == 2 else column.astype(int)})


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("pt", np.nan, r"features\['pt'\]: entry 0 is NaN"),
        ("E", np.inf, "entry 0 is NaN or infinite"),
        ("E", -1.0, "E: event 1 has a negative value; expected GeV"),
        ("phi", 90.0, "phi: event 1 has an angle beyond 2 pi; expected radian"),
        ("ids", 0, "ids: event 1 has an unknown object id; expected 1 to 7"),
        ("ids", 8, "ids: event 1 has an unknown object id"),
        ("met", [-1, 0], "met: event 1 has a negative MET"),
        ("met", [1, 180], "met: event 1 has a METphi beyond 2 pi"),
        ("met", [np.nan, 0], "met: entry 1 is NaN"),
        ("met", [1e300, 0], "met: event 1 has a MET beyond 32 bits"),
        ("E", 1e300, "E: event 1 has a value beyond 32 bits; expected GeV"),
        ("eta", 1e300, r"eta: event 1 has an \|eta\| beyond 100"),
        ("eta", -1000.0, r"eta: event 1 has an \|eta\| beyond 100"),
    ],
)
def test_impossible_values_are_refused(make_tokenizer, events, what: str, value: object, message: str) -> None:
    if what == "ids" and value == 0:
        assert events.lengths[1] > 1, "the second token belongs to event 1"

    with pytest.raises(DataError, match=message):
        make_tokenizer("vq").encode(change(events, what, value))


@pytest.mark.parametrize("convert", [lambda gev: gev * 1000, lambda gev: np.log(gev * 1000)])
def test_other_units_are_refused(make_tokenizer, events, convert) -> None:
    energies = {name: convert(events.features[name]) for name in ("E", "pt")}

    with pytest.raises(DataError, match="must be in GeV"):
        make_tokenizer("vq").encode(replace(events, features={**events.features, **energies}))


@pytest.mark.parametrize(
    "convert", [lambda gev: gev * 1000, lambda gev: np.log(gev * 1000), lambda gev: np.log10(gev * 1000)]
)
def test_met_in_other_units_is_refused(make_tokenizer, events, convert) -> None:
    tokenizer = make_tokenizer("none")
    other = np.stack((convert(events.met[:, 0]), events.met[:, 1]), axis=1)
    few = take_events(replace(events, met=other), np.arange(19))

    with pytest.raises(DataError, match=r"met: the median is .* was trained on .* GeV; MET must be in GeV"):
        tokenizer.encode(replace(events, met=other))
    assert tokenizer.encode(few).n_events == 19


@pytest.mark.parametrize(
    "convert",
    [
        lambda gev: gev * 10,
        lambda gev: gev / 10,
        lambda gev: 0 * gev,
        lambda gev: 12 + 0 * gev,
        lambda gev: np.random.default_rng(0).rayleigh(6, len(gev)),
    ],
    ids=["hard", "soft", "none", "all the same", "resolution alone"],
)
def test_met_unlike_that_of_the_training_is_taken(make_tokenizer, events, convert) -> None:
    other = np.stack((convert(events.met[:, 0]), events.met[:, 1]), axis=1)

    assert make_tokenizer("none").encode(replace(events, met=other)).n_events == events.n_events


@pytest.mark.parametrize(
    ("change_one", "message"),
    [
        ({"features": np.zeros((3, 3))}, r"features: has shape \(3, 3\); expected \(3, 4\)"),
        ({"features": {"pt": [1.0, 2.0]}}, r"features\['pt'\]: has shape \(2,\); expected \(3\)"),
        ({"features": {"energy": [1.0] * 3}}, "unknown feature 'energy'"),
        ({"features": [["a"] * 4] * 3}, "features: holds <U1; expected numbers"),
        ({"features": [[1.0], [1.0, 2.0]]}, "features: is no array"),
        ({"lengths": [1, -1, 3]}, "lengths: event 1 has fewer than 0 tokens"),
        ({"lengths": [2**62] * 4 + [3]}, "lengths: event 0 has more tokens than all events together; expected up to 3"),
        ({"lengths": [1.5, 1.5]}, "lengths: entry 0 is not whole"),
        ({"lengths": [2]}, r"features: has shape \(3, 4\); expected \(2, 4\)"),
        ({"ids": [1, 2]}, r"ids: has shape \(2,\); expected \(3\)"),
        ({"met": [1.0, 2.0]}, r"met: has shape \(2,\); expected \(2, 2\)"),
    ],
)
def test_arrays_of_other_shapes_are_refused(make_tokenizer, change_one: dict, message: str) -> None:
    right = {"features": np.ones((3, 4)), "lengths": [1, 2], "ids": [1, 2, 3], "met": np.ones((2, 2))}

    with pytest.raises(DataError, match=message):
        make_tokenizer("vq").make_events(**{**right, **change_one})


def test_what_is_missing_is_named(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("vq")
    few = {name: values for name, values in events.features.items() if name != "eta"}

    with pytest.raises(DataError, match="features: 'eta' is missing; this model sees E, pt, eta, phi"):
        tokenizer.encode(replace(events, features=few))
    with pytest.raises(DataError, match="met: is missing"):
        tokenizer.encode(replace(events, met=None))
    with pytest.raises(DataError, match="lengths: is missing"):
        tokenizer.decode(np.zeros((3, 1), dtype=int))
    with pytest.raises(DataError, match="lengths: sum to 2; there are 3 tokens"):
        tokenizer.decode(np.zeros((3, 1), dtype=int), [2])


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[16]], r"codes: token 0 has \[16\]; expected 0 to 15"),
        ([[-1]], "codes: token 0 has"),
        ([[1, 2]], r"codes: has shape \(1, 2\); expected \(any number, 1\)"),
        (
            [[1.0]],
            r"tokens: hold float64 in the shape \(1, 1\); expected codes: an array of type int in the shape \(any n",
        ),
        (
            np.array([[1]], dtype=object),
            r"tokens: hold object in the shape \(1, 1\); expected codes: an array of type int",
        ),
        (np.array([[1j] * 4]), r"tokens: hold complex128 .*, or latents: numbers in the shape \(any number, 4\)$"),
        (np.array([[2**64 - 1]], dtype=np.uint64), "codes: entry 0 is beyond 64 bits; expected smaller whole numbers"),
        ([[np.nan] * 4], "latents: entry 0 is NaN"),
        ([[1e300] * 4], "latents: entry 0 is beyond 32 bits"),
        ([[1], [2, 3]], "tokens: is no array"),
        (None, "tokens: hold object in the shape"),
    ],
)
def test_what_is_no_token_is_refused(make_tokenizer, codes: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_tokenizer("vq").decode(codes, [1])


def test_codes_are_refused_where_there_are_none(make_tokenizer) -> None:
    tokenizer = make_tokenizer("none")

    with pytest.raises(DataError, match="codes: a tokenizer with the bottleneck 'none' has none; use its latents"):
        tokenizer.decode([[1], [2]], [2])
    with pytest.raises(
        DataError, match=r"tokens: hold float64 .* expected latents: numbers in the shape \(any number, 4\)"
    ):
        tokenizer.decode([[1.0], [2.0]], [2])
    assert tokenizer.decode([[1, 2, 3, 4]], [1]).n_tokens == 1


def test_lengths_whose_sum_overflows_are_refused(make_tokenizer) -> None:
    with pytest.raises(DataError, match="lengths: event 0 has more tokens than all events together"):
        make_tokenizer("vq").decode([[1], [2], [3]], [2**62] * 4 + [3])


def test_two_objects_of_any_energy_are_encoded(make_tokenizer) -> None:
    tokenizer = make_tokenizer("vq")
    table = [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]

    events = tokenizer.make_events(table, [2], ids=[1, 1], met=[[0.0, 0.0]])

    assert tokenizer.encode(events).n_events == 1


@pytest.mark.parametrize("batch_size", [0, 1.5, None, "a", True])
def test_batch_sizes_that_are_none_are_refused(unchecked, make_tokenizer, events, batch_size: object) -> None:
    tokenizer = make_tokenizer("vq")

    with pytest.raises(DataError, match=r"batch_size: is .*; expected a whole number, 1 or more"):
        tokenizer.encode(events, batch_size=batch_size)
    with pytest.raises(DataError, match=r"batch_size: is .*; expected a whole number, 1 or more"):
        tokenizer.decode([[1]], [1], batch_size=batch_size)


@pytest.mark.parametrize("wrong", [None, {}, np.zeros((3, 4))])
def test_what_is_no_event_is_refused(unchecked, make_tokenizer, wrong: object) -> None:
    with pytest.raises(DataError, match=r"events: is .*; expected those of make_events, read_events or decode"):
        make_tokenizer("vq").encode(wrong)
    with pytest.raises(DataError, match=r"tokens: .* without codes; expected those of encode"):
        make_tokenizer("vq").to_sequences(wrong)


def test_tokens_that_were_changed_are_refused(unchecked, make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("vq")
    tokens = tokenizer.encode(events)

    with pytest.raises(DataError, match="tokens: Tokens without codes; expected those of encode"):
        tokenizer.to_sequences(make_tokenizer("kl").encode(events))
    with pytest.raises(DataError, match=r"tokens: are of another tokenizer \(None\); expected those of vq"):
        tokenizer.decode(replace(tokens, fingerprint=None))
    other = (tokens.codes + 1) % 16
    for changed in ({"latents": tokens.latents + 1}, {"latents": tokens.latents[:1]}, {"codes": other}):
        for use in (tokenizer.decode, tokenizer.to_sequences):
            with pytest.raises(
                DataError, match="tokens: the latents are not those of the codes; after changing either"
            ):
                use(replace(tokens, **changed))
    with pytest.raises(DataError, match="latents: holds object; expected numbers"):
        tokenizer.decode(replace(tokens, latents=None))
    assert_same(tokenizer.decode(replace(tokens, codes=None)), tokenizer.decode(tokens))
    with pytest.raises(DataError, match="codes: is no array"):
        tokenizer.embed([[1], [2, 3]])


def test_an_event_that_does_not_decode_to_numbers_is_named(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("linear")
    model: Autoencoder = tokenizer.restored.model
    whole, tokens = model.decode, tokenizer.encode(events)

    def decode(values, lengths):
        decoded = whole(values, lengths)
        return replace(decoded, features=decoded.features.abs() * 1e30)

    model.decode = decode

    with pytest.raises(DataError, match="tokens: event 1 decodes to NaN or infinity"):
        tokenizer.decode(tokens)


def test_an_event_that_the_model_cannot_see_is_named(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("linear")
    with torch.no_grad():
        next(tokenizer.restored.model.encoder.parameters()).fill_(torch.inf)

    with pytest.raises(DataError, match="events: the latents of event 1 are NaN or infinity"):
        tokenizer.encode(events)


@pytest.mark.parametrize("path", [None, 5, ["a"], b"a", "x" * 5000, "~nobody_of_this_name/run"])
def test_paths_that_are_none_are_refused(unchecked, finished_run, path: object) -> None:
    tokenizer = thesis_ml.load_tokenizer(finished_run.path)

    with pytest.raises(DataError, match=r"path: .*; expected|cannot be read \(File name too long\); give"):
        thesis_ml.load_tokenizer(path)
    with pytest.raises(DataError, match=r"path: .*; expected|cannot be read \(.*File name too long"):
        tokenizer.read_events(path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", None, [1]])
def test_devices_that_are_none_are_refused(unchecked, finished_run, device: object) -> None:
    with pytest.raises(ConfigError, match=r"device: .* is not available here; expected cpu, cuda or mps"):
        thesis_ml.load_tokenizer(finished_run.path, device)


@pytest.mark.parametrize(
    "row",
    [[0, 17, 18], [16, 1, 2], [16, 17, 1], [16, 1, 17, 17], [16, 18, 17], [17, 16, 18]],
    ids=["no start", "no stop", "code behind stop", "two stops", "pad inside", "reversed"],
)
def test_broken_sequences_are_refused(make_tokenizer, row: list[int]) -> None:
    with pytest.raises(DataError, match=r"is no sequence; expected start|codes: token"):
        make_tokenizer("vq").read_sequences([row])


def test_tokens_of_another_tokenizer_are_refused(make_tokenizer, events) -> None:
    tokens = make_tokenizer("vq").encode(events)

    with pytest.raises(DataError, match=r"tokens: are of another tokenizer \(vq\); expected those of kl"):
        make_tokenizer("kl").decode(tokens)
    with pytest.raises(DataError, match="bottleneck 'kl' has none; use its latents"):
        make_tokenizer("kl").to_sequences(tokens)


def test_run_folder_and_checkpoint_give_the_same_tokenizer(finished_run, tmp_path: Path) -> None:
    by_folder = thesis_ml.load_tokenizer(finished_run.path)
    by_file = thesis_ml.load_tokenizer(str(finished_run.path / "model.pt"))

    assert by_folder.describe() == by_file.describe()
    assert by_folder.describe()["vocabulary"] == {
        "codebook_sizes": [16],
        "offsets": [0],
        "start": 16,
        "stop": 17,
        "pad": 18,
        "size": 19,
    }
    assert by_folder.units == {"E": "GeV", "pt": "GeV", "eta": "1", "phi": "rad", "met": "GeV", "met_phi": "rad"}
    with pytest.raises(DataError, match=r"holds neither best_val.pt nor model.pt; give the folder of a trained run"):
        thesis_ml.load_tokenizer(tmp_path)
    with pytest.raises(DataError, match="no such checkpoint"):
        thesis_ml.load_tokenizer(tmp_path / "nothing.pt")


def test_folders_that_are_no_trained_run_are_named(tmp_path: Path) -> None:
    kinds = {
        "multirun.yaml": "is a sweep, which holds a folder for each of its runs; give one of them",
        "manifest.yaml": "is a report; give the folder of one of the runs that it compares",
        "last.pt": r"its training has no best weights yet; let it go on with thesis-train resume=.*, or give",
    }
    for name, message in kinds.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).touch()
        with pytest.raises(DataError, match=message):
            thesis_ml.load_tokenizer(folder)


def test_a_link_out_of_the_folder_is_no_tokenizer(finished_run, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "best_val.pt").symlink_to(finished_run.path / "best_val.pt")

    with pytest.raises(DataError, match="holds neither"):
        thesis_ml.load_tokenizer(folder)


@pytest.mark.parametrize("encoding", ["mev", "ln_mev"])
def test_files_of_any_unit_are_read_in_gev(finished_run, tmp_path: Path, encoding: str) -> None:
    splits = random_splits(30)
    path = write_tokens_file(tmp_path / "events.h5", splits, encoding=encoding)
    tokenizer = thesis_ml.load_tokenizer(finished_run.path)

    events = tokenizer.read_events(path, split="train")

    np.testing.assert_allclose(events.features["pt"], splits["train"].kinematics_gev[:, 1], rtol=1e-4)
    assert tokenizer.encode(events).n_events == 30
    assert tokenizer.read_events(path, limit_events=4).n_events == 4


def test_files_that_do_not_fit_are_refused(unchecked, finished_run, tmp_path: Path) -> None:
    tokenizer = thesis_ml.load_tokenizer(finished_run.path)
    named = json.dumps({str(number): f"object {number}" for number in range(1, 8)})
    other = write_tokens_file(tmp_path / "other.h5", attributes={"energy_unit": "MeV", "id_meaning": named})
    path = write_tokens_file(tmp_path / "events.h5")

    with pytest.raises(DataError, match="no split 'all'; expected train, val, test"):
        tokenizer.read_events(path, split="all")
    with pytest.raises(DataError, match=r"no split .*; expected train, val, test"):
        tokenizer.read_events(path, ["a"])
    for limit in (1.5, "5", 0):
        with pytest.raises(DataError, match=r"limit_events: is .*; expected a whole number, 1 or more"):
            tokenizer.read_events(path, limit_events=limit)
    with pytest.raises(DataError, match=r"object types are object 1, .*; the tokenizer knows jet"):
        tokenizer.read_events(other)


def test_models_without_heads_leave_types_and_met_open(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("linear")
    model: Autoencoder = tokenizer.restored.model
    whole = model.decode
    model.decode = lambda values, lengths: replace(whole(values, lengths), type_logits=None, globals=None)

    decoded = tokenizer.decode(tokenizer.encode(events))

    assert (decoded.ids, decoded.met) == (None, None)
    assert isinstance(tokenizer.encode(events), Tokens)


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/use-a-tokenizer.md"])
def test_python_of_the_pages_encodes_and_decodes(
    page: str, finished_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (block,) = [block for block in read_blocks(page) if "load_tokenizer" in block.code and block.language == "python"]
    (tmp_path / "outputs").mkdir()
    finished_run.path.rename(tmp_path / "outputs" / "my_run")
    monkeypatch.chdir(tmp_path)

    exec(compile(block.code.replace('"src/', f'"{ROOT.as_posix()}/src/'), block.place, "exec"), {})

    assert "[[" in capsys.readouterr().out


def test_package_offers_the_tokenizer_without_importing_torch() -> None:
    code = "import sys, thesis_ml; print('torch' in sys.modules, thesis_ml.__all__)"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "False ['load_tokenizer']\n"
    with pytest.raises(AttributeError, match="no attribute 'load_tokeniser'"):
        _ = thesis_ml.load_tokeniser
