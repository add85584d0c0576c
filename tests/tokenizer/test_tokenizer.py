"""A trained model as a tokenizer: what goes in comes back, event by event, and what is no event is refused."""

import json
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import torch

import thesis_ml
from data_files import random_splits, write_tokens_file
from small_tokenizers import CODED, KINDS, assert_same, change, take_events
from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.data.events import Events
from thesis_ml.errors import DataError
from thesis_ml.tokenizer.tokenizer import Tokens


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_gives_what_the_model_reconstructs(make_tokenizer, events, many_events, kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    decoded = tokenizer.decode(tokenizer.encode(events))
    normalizer, model = tokenizer.restored.normalizer, tokenizer.restored.model

    columns = torch.from_numpy(np.stack([events.features[name] for name in normalizer.features], axis=1))
    batch = many_events._replace(
        features=normalizer.encode_features(columns, torch.from_numpy(events.ids - 1)),
        types=torch.from_numpy(events.ids - 1),
        lengths=torch.from_numpy(events.lengths),
        globals=normalizer.encode_globals(torch.from_numpy(events.met)),
    )
    with torch.no_grad():
        output = model.reconstruct(batch, torch.Generator())
    physical = normalizer.decode_features(output.features, output.types).numpy()
    expected = Events.without_labels(
        features=dict(zip(normalizer.features, physical.T, strict=True)),
        ids=output.type_logits.argmax(dim=1).numpy() + 1,
        lengths=events.lengths,
        globals_=dict(zip(("met", "met_phi"), normalizer.decode_globals(output.globals).numpy().T, strict=True)),
    )
    assert_same(decoded, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decoder", ["mlp", "deepsets", "gnn", "transformer", "diffusion"])
def test_no_decoded_object_has_less_energy_than_momentum(make_tokenizer, events, kind: str, decoder: str) -> None:
    tokenizer = make_tokenizer(kind, decoder=decoder)
    tokens = tokenizer.encode(events)
    far = np.random.default_rng(0).normal(size=tokens.latents.shape, scale=5.0).astype(np.float32)

    for decoded in (tokenizer.decode(tokens), tokenizer.decode(far, events.lengths)):
        energy, pt, eta = (decoded.features[name] for name in ("E", "pt", "eta"))
        assert (energy >= pt * np.cosh(eta) * (1 - 1e-5)).all()
        assert (energy == energy.astype(np.float32)).all()


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("pt", np.nan, r"features\['pt'\]: entry 0 is NaN"),
        ("E", np.inf, "entry 0 is infinite"),
        ("E", -1.0, "event 1: E is -1; expected 0 to 1e\\+05 GeV"),
        ("phi", 90.0, "event 1: phi is 90; expected -6.28 to 6.28 rad"),
        ("ids", 0, "event 1: object id 0 is unknown; expected 1 to 7"),
        ("ids", 8, "event 1: object id 8 is unknown"),
        ("met", [-1, 0], "event 1: met is -1; expected 0 to 1e\\+05 GeV"),
        ("met", [1, 180], "event 1: met_phi is 180; expected -6.28"),
        ("met", [np.nan, 0], "met: entry 1 is NaN"),
        ("met", [1e300, 0], r"event 1: met is 1e\+300; expected 0 to 1e\+05 GeV"),
        ("E", 1e300, r"event 1: E is 1e\+300; expected 0 to 1e\+05 GeV"),
        ("eta", 1e300, r"event 1: eta is 1e\+300; expected -20 to 20"),
        ("eta", -999.0, "event 1: eta is -999; expected -20 to 20"),
        ("pt", 1.1e5, r"event 1: pt is 1.1e\+05; expected 0 to 1e\+05 GeV"),
    ],
)
def test_impossible_values_are_refused(make_tokenizer, events, what: str, value: object, message: str) -> None:
    if what == "ids" and value == 0:
        assert events.lengths[1] > 1, "the second token belongs to event 1"

    with pytest.raises(DataError, match=message):
        make_tokenizer("vq").encode(change(events, what, value))


@pytest.mark.parametrize("convert", [lambda gev: gev * 1000, lambda gev: np.log(gev * 1000)])
def test_other_units_are_refused(make_tokenizer, events, convert) -> None:
    other = events.with_features(**{name: convert(events.features[name]) for name in ("E", "pt")})

    with pytest.raises(DataError, match="must be in GeV"):
        make_tokenizer("vq").encode(other)


@pytest.mark.parametrize(
    "convert", [lambda gev: gev * 1000, lambda gev: np.log(gev * 1000), lambda gev: np.log10(gev * 1000)]
)
def test_met_in_other_units_is_refused(make_tokenizer, events, convert) -> None:
    tokenizer = make_tokenizer("none")
    other = replace(events, globals={**events.globals, "met": convert(events.globals["met"])})
    few = take_events(other, np.flatnonzero(other.globals["met"] < 1e5)[:19])

    with pytest.raises(DataError, match=r"met.* GeV.*; energies must be in GeV"):
        tokenizer.encode(other)
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
    other = replace(events, globals={**events.globals, "met": convert(events.globals["met"])})

    assert make_tokenizer("none").encode(other).n_events == events.n_events


@pytest.mark.parametrize(
    ("change_one", "message"),
    [
        ({"features": np.zeros((3, 3))}, r"features: has shape \(3, 3\); expected \(3, 4\)"),
        ({"features": {"pt": [1.0, 2.0]}}, r"features\['pt'\]: has shape \(2,\); expected \(3\)"),
        ({"features": {"energy": [1.0] * 3}}, "unknown feature 'energy'"),
        ({"features": np.ones((3, 4), dtype=np.int64)}, "features: holds int64; expected float32, as integers would"),
        ({"features": {"pt": np.array([1, 2, 3])}}, r"features\['pt'\]: holds int64; expected float32"),
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


def test_a_column_of_arrays_that_is_the_same_everywhere_is_warned_of(make_tokenizer, events, caplog) -> None:
    same = events.with_features(phi=np.full_like(events.features["phi"], 0.5))

    make_tokenizer("vq").encode(same)

    assert "phi is 0.5 for all objects; look at its column" in caplog.text


def test_what_is_missing_is_named(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("vq")
    few = {name: values for name, values in events.features.items() if name != "eta"}

    with pytest.raises(DataError, match="features: 'eta' is missing; this model sees E, pt, eta, phi"):
        tokenizer.encode(replace(events, features=few))
    with pytest.raises(DataError, match="met: is missing"):
        tokenizer.encode(replace(events, globals={}))
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
    with pytest.raises(DataError, match="latents: holds Python objects such as None; expected numbers"):
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

    with pytest.raises(DataError, match="event 1: decodes to NaN or infinity"):
        tokenizer.decode(tokens)


def test_an_event_that_the_model_cannot_see_is_named(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer("linear")
    with torch.no_grad():
        next(tokenizer.restored.model.encoder.parameters()).fill_(torch.inf)

    with pytest.raises(DataError, match="event 1: has latents that are NaN or infinity"):
        tokenizer.encode(events)


def test_tokens_of_another_tokenizer_are_refused(make_tokenizer, events) -> None:
    tokens = make_tokenizer("vq").encode(events)

    with pytest.raises(DataError, match=r"tokens: are of another tokenizer \(vq\); expected those of kl"):
        make_tokenizer("kl").decode(tokens)
    with pytest.raises(DataError, match="bottleneck 'kl' has none; use its latents"):
        make_tokenizer("kl").to_sequences(tokens)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["mev", "ln_mev"])
def test_files_of_any_unit_are_read_in_gev(finished_run, tmp_path: Path, encoding: str) -> None:
    splits = random_splits(30)
    path = write_tokens_file(tmp_path / "events.h5", splits, encoding=encoding)
    tokenizer = thesis_ml.load_tokenizer(finished_run.path)

    events = tokenizer.read_events(path, split="train")

    np.testing.assert_allclose(events.features["pt"], splits["train"].features["pt"], rtol=1e-4)
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


def test_awkward_records_are_the_same_events_and_come_back(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer(CODED[0])
    met = [[30.0, 0.5]] * events.n_events

    records = events.to_awkward()
    ours = tokenizer.make_events(records, met=met)
    arrays = tokenizer.make_events(events.features, events.lengths, ids=events.ids, met=met)

    assert np.array_equal(tokenizer.encode(ours).codes, tokenizer.encode(arrays).codes)
    assert np.allclose(ak.to_numpy(ak.flatten(records.mass)), events.column("mass"), atol=1e-2)
    assert ak.to_list(ak.num(records)) == events.lengths.tolist()


def test_awkward_masses_stand_in_for_energies(make_tokenizer, events) -> None:
    tokenizer = make_tokenizer(CODED[0])
    met = [[30.0, 0.5]] * events.n_events
    records = events.to_awkward()
    light = ak.zip(
        {"pt": records.pt, "eta": records.eta, "phi": records.phi, "mass": 0 * records.pt, "ids": records.id}
    )

    made = tokenizer.make_events(light, met=met)

    assert np.allclose(made.features["E"], events.features["pt"] * np.cosh(events.features["eta"]), rtol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: one["pt"], "has no field"),
        (lambda one: ak.flatten(one), "expected a list of records for each event"),
        (lambda one: ak.zip({"pt": one.pt, "eta": one.eta}), "has no field 'ids'"),
    ],
)
def test_awkward_arrays_without_events_are_refused(make_tokenizer, events, spoil, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_tokenizer(CODED[0]).make_events(spoil(events.to_awkward()), met=[[30.0, 0.5]] * events.n_events)


def test_missing_met_is_named(make_tokenizer, events) -> None:
    with pytest.raises(DataError, match="met: is missing"):
        make_tokenizer(CODED[0]).make_events(events.features, events.lengths, ids=events.ids)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("met", "met: is missing; expected MET in GeV and METphi in radian"),
        ("ids", "ids: is missing; expected object ids"),
        ("lengths", "lengths: is missing; expected the tokens of each event"),
    ],
)
def test_arrays_that_are_missing_are_named(make_tokenizer, events, name: str, message: str) -> None:
    given = {"features": dict(events.features), "lengths": events.lengths, "ids": events.ids, "met": events.met}

    with pytest.raises(DataError, match=message):
        make_tokenizer("vq").make_events(**{**given, name: None})


def test_a_tokenizer_prints_what_it_is(make_tokenizer) -> None:
    tokenizer = make_tokenizer("vq")

    shown = f"<Tokenizer vq: E, pt, eta, phi; vocabulary of {tokenizer.vocabulary.size}; {tokenizer.fingerprint[:12]}>"

    assert repr(tokenizer) == shown
    assert "no vocabulary" in repr(make_tokenizer("linear"))


def test_unlikely_values_of_arrays_are_warned_of(make_tokenizer, events, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = make_tokenizer("vq")
    tokenizer.encode(events)
    assert caplog.messages == []

    tokenizer.encode(change(events, "eta", 7.0))

    (text,) = (text for text in caplog.messages if text.startswith("|eta| > 6"))
    assert "of the objects of these events (first in row 1)" in text
