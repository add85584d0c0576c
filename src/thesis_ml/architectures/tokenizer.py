"""A trained model as a tokenizer: physical events to codes or latents, and back."""

import itertools
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import DecoderOutput
from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.events import StoredEvents, cut_events
from thesis_ml.data.physical import (
    LARGEST_NUMBER,
    UNITS,
    PhysicalEvents,
    build_physical,
    encode_physical,
    read_array,
    read_lengths,
    read_numbers,
    read_whole,
    take_physical,
)
from thesis_ml.data.place import Place
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import DataError
from thesis_ml.utils.devices import read_device
from thesis_ml.utils.paths import BEST_FILES, LAST_CHECKPOINT, MANIFEST_FILE, SWEEP_FILE, find_best, hash_file

BATCH_EVENTS = 1024


@dataclass(frozen=True)
class Vocabulary:
    """The numbers that sequences of codes are made of.

    A token becomes Q numbers, one from each quantiser, whose codes are shifted behind those of the quantisers before.
    Behind all codes come three numbers that are no codes.

    Args:
        codebook_sizes: Codes K of each of the Q quantisers.
    """

    codebook_sizes: tuple[int, ...]

    @property
    def offsets(self) -> tuple[int, ...]:
        """What is added to the codes of each quantiser."""
        return tuple(itertools.accumulate((0, *self.codebook_sizes[:-1])))

    @property
    def start(self) -> int:
        """Opens every sequence."""
        return sum(self.codebook_sizes)

    @property
    def stop(self) -> int:
        """Closes every sequence."""
        return self.start + 1

    @property
    def pad(self) -> int:
        """Fills a sequence behind `stop` to the length of the longest one."""
        return self.start + 2

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.start + 3

    def describe(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        names = ("start", "stop", "pad", "size")
        sizes = {"codebook_sizes": list(self.codebook_sizes), "offsets": list(self.offsets)}
        return {**sizes, **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True)
class Tokens:
    """Events as a tokenizer sees them, back to back.

    Args:
        latents: What the decoder sees of each token.
        codes: The code of each token from each quantiser, from 0; None where latents are continuous.
        lengths: Tokens per event.
        fingerprint: That of the tokenizer which made them.
    """

    latents: Float[NDArray[Any], "P D"]
    codes: Int[NDArray[Any], "P Q"] | None
    lengths: Int[NDArray[Any], " N"]
    fingerprint: str

    @property
    def n_events(self) -> int:
        return len(self.lengths)


class Tokenizer:
    """What a trained model makes of events, event by event, whatever the company and the batch.

    Args:
        restored: The model.
        fingerprint: The SHA-256 of its checkpoint; tokens of another one mean something else.
        device: Where the model runs.
    """

    def __init__(self, restored: RestoredModel, fingerprint: str, device: torch.device | str = "cpu") -> None:
        self.restored = restored
        self.fingerprint = fingerprint
        self.device = torch.device(device)
        self._model = restored.model.to(self.device)

    @property
    def kind(self) -> str:
        """The name of the bottleneck."""
        return str(self.restored.config.latent_space.name)

    @property
    def features(self) -> tuple[str, ...]:
        """The features of a token, in the order of columns."""
        return self.restored.normalizer.features

    @property
    def units(self) -> dict[str, str]:
        """Units of the features, of MET and of METphi; 1 for none."""
        return {name: UNITS[name] for name in (*self.features, "met", "met_phi")}

    @property
    def type_names(self) -> tuple[str, ...]:
        """Names of the object ids 1, 2, ..."""
        return self.restored.dims.type_names

    @property
    def latent_dim(self) -> int:
        """Width D of latents."""
        return int(self.restored.config.latent_space.latent_dim)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The codes, None where latents are continuous."""
        sizes = self._model.codebook_sizes
        return Vocabulary(tuple(sizes)) if sizes else None

    def describe(self) -> dict[str, Any]:
        """Return what tokens of this tokenizer mean, as plain JSON values."""
        return {
            "bottleneck": self.kind,
            "features": list(self.features),
            "units": self.units,
            "type_names": list(self.type_names),
            "latent_dim": self.latent_dim,
            "vocabulary": None if self.vocabulary is None else self.vocabulary.describe(),
            "fingerprint": self.fingerprint,
            "dataset_fingerprint": self.restored.dataset_fingerprint,
            "code_version": self.restored.code_version,
        }

    def read_events(self, path: str | Path, split: str = "test", limit_events: int | None = None) -> PhysicalEvents:
        """Return the events of one split of a data file, with the tokens and in the order that the model was given.

        Args:
            path: HDF5 file of 2 + 5T columns.
            split: train, val or test.
            limit_events: Read the first events only.

        Raises:
            DataError: The file cannot be used, has no such split, or has other object types.
        """
        path = _read_path(path)
        if limit_events is not None:
            _check_count(limit_events, "limit_events")
        options = replace(self.restored.data, path=str(path), synthetic=None, train_classes=None, encoding="auto")
        stored = load_events(replace(options, limit_events=limit_events))
        if not isinstance(split, str) or split not in stored.splits:
            raise Place(path).error(f"no split {split!r:.40}; expected {', '.join(stored.splits)}")
        if stored.type_names != self.type_names:
            known = ", ".join(self.type_names)
            raise Place(path).error(f"object types are {', '.join(stored.type_names)}; the tokenizer knows {known}")
        return take_physical(stored.splits[split])

    def make_events(self, features: Any, lengths: Any, *, ids: Any, met: Any) -> PhysicalEvents:
        """Return events from arrays or lists, the tokens of all events back to back.

        Args:
            features: A column for each of `features` [P, C] or arrays by name; GeV and radian.
            lengths: Tokens of each event [N], 0 or more.
            ids: Object ids [P], from 1 as in `type_names`.
            met: MET in GeV and METphi in radian [N, 2].

        Raises:
            DataError: Something has no numbers, or another shape than the rest.
        """
        return build_physical(features, self.features, lengths=lengths, ids=ids, met=met)

    def encode(self, events: PhysicalEvents | StoredEvents, batch_size: int = BATCH_EVENTS) -> Tokens:
        """Return codes and latents of events in GeV and radian.

        Args:
            events: From `read_events`, `make_events` or `decode`.
            batch_size: Events at a time; it changes nothing but rounding.

        Raises:
            DataError: A value is missing, not finite, impossible or in another unit.
        """
        _check_count(batch_size, "batch_size")
        physical = take_physical(events) if isinstance(events, StoredEvents) else events
        if not isinstance(physical, PhysicalEvents):
            raise DataError(f"events: is {type(events).__name__}; expected those of make_events, read_events or decode")
        split = encode_physical(physical, self.restored.normalizer, len(self.type_names))
        parts = [self._encode_batch(batch) for batch in iterate_batches(split, batch_size, generator=None)]
        values = [np.zeros((0, self.latent_dim), dtype=np.float32), *(part for part, _ in parts)]
        latents = np.concatenate(values)
        is_bad = ~np.isfinite(latents).all(axis=1)
        if is_bad.any():
            event = int(np.repeat(np.arange(split.n_events), split.lengths)[is_bad.argmax()])
            raise DataError(f"events: the latents of event {event} are NaN or infinity; expected values as in training")
        codes = [part for _, part in parts if part is not None]
        if self.vocabulary is not None:
            codes = [np.zeros((0, len(self.vocabulary.codebook_sizes)), dtype=np.int64), *codes]
        return Tokens(
            latents=latents,
            codes=np.concatenate(codes) if codes else None,
            lengths=np.asarray(split.lengths),
            fingerprint=self.fingerprint,
        )

    def decode(self, tokens: Tokens | Any, lengths: Any = None, batch_size: int = BATCH_EVENTS) -> PhysicalEvents:
        """Return what the decoder makes of codes or latents, in GeV and radian.

        Args:
            tokens: From `encode`, or an array: whole numbers are codes [P] or [P, Q], others are latents [P, D].
            lengths: Tokens of each event [N]; for arrays only.
            batch_size: Events at a time; it changes nothing but rounding.

        Raises:
            DataError: The tokens are those of another tokenizer, no tokens at all, or have no finite answer.
        """
        _check_count(batch_size, "batch_size")
        checked = self._check_tokens(tokens) if isinstance(tokens, Tokens) else self._read_tokens(tokens, lengths)
        parts = [
            self._decode_batch(checked.latents[part], checked.lengths[events])
            for events, part in cut_events(checked.lengths, batch_size)
        ]
        parts = parts or [self._decode_batch(checked.latents, checked.lengths)]
        events = self._join(parts, checked.lengths)
        _refuse_endless(events)
        return events

    def embed(self, codes: Any) -> Float[NDArray[Any], "P D"]:
        """Return the latents that codes [P] or [P, Q] stand for.

        Raises:
            DataError: They are no codes of this tokenizer.
        """
        return self._embed(self._read_codes(codes))

    def to_sequences(self, tokens: Tokens) -> Int[NDArray[Any], "N L"]:
        """Return each event as `start`, the Q numbers of each token in turn, `stop`, and `pad` to a common length.

        Raises:
            DataError: This tokenizer has no codes, or the tokens are not its own.
        """
        vocabulary = self._need_vocabulary()
        if not isinstance(tokens, Tokens) or tokens.codes is None:
            raise DataError(f"tokens: {type(tokens).__name__} without codes; expected those of encode")
        tokens = self._check_tokens(tokens)
        assert tokens.codes is not None, "checked before"
        flat = (tokens.codes + np.array(vocabulary.offsets)).reshape(-1)
        n_numbers = tokens.lengths * len(vocabulary.codebook_sizes)
        width = int(n_numbers.max(initial=0)) + 2
        sequences = np.full((tokens.n_events, width), vocabulary.pad, dtype=np.int64)
        places = np.arange(width)
        sequences[:, 0] = vocabulary.start
        sequences[(places > 0) & (places <= n_numbers[:, None])] = flat
        sequences[np.arange(tokens.n_events), n_numbers + 1] = vocabulary.stop
        return sequences

    def read_sequences(self, sequences: Any) -> Tokens:
        """Return the tokens of sequences as `to_sequences` makes them, such as those of a generative model.

        Raises:
            DataError: A sequence breaks the form.
        """
        vocabulary = self._need_vocabulary()
        array = read_whole(sequences, "sequences", shape=(None, None))
        n_quantisers = len(vocabulary.codebook_sizes)
        is_stop = array == vocabulary.stop
        n_numbers = is_stop.argmax(axis=1) - 1 if array.shape[1] else np.full(len(array), -1)
        places = np.arange(array.shape[1])
        is_code = (places > 0) & (places <= n_numbers[:, None])
        is_broken = (is_stop.sum(axis=1) != 1) | (n_numbers < 0) | (n_numbers % n_quantisers != 0)
        is_broken |= (array[:, :1] != vocabulary.start).any(axis=1)
        is_broken |= ((places > n_numbers[:, None] + 1) & (array != vocabulary.pad)).any(axis=1)
        if is_broken.any():
            raise DataError(
                f"sequences: row {int(is_broken.argmax())} is no sequence; expected start ({vocabulary.start}), "
                f"{n_quantisers} numbers for each token, stop ({vocabulary.stop}), then pad ({vocabulary.pad})"
            )
        codes = array[is_code].reshape(-1, n_quantisers) - np.array(vocabulary.offsets)
        return self._read_tokens(codes, n_numbers // n_quantisers)

    @torch.no_grad()
    def _encode_batch(self, batch: TokenBatch) -> tuple[NDArray[Any], NDArray[Any] | None]:
        latent = self._model.encode(batch.to(self.device))
        codes = None if latent.codes is None else latent.codes.cpu().numpy()
        return latent.values.float().cpu().numpy(), codes

    @torch.no_grad()
    def _decode_batch(self, values: Float[NDArray[Any], "P D"], lengths: Int[NDArray[Any], " B"]) -> DecoderOutput:
        def send(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

        def fetch(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.float().cpu()

        decoded = self._model.decode(send(values.astype(np.float32, copy=False)), send(lengths))
        return DecoderOutput(decoded.features.float().cpu(), fetch(decoded.type_logits), fetch(decoded.globals))

    @torch.no_grad()
    def _embed(self, codes: Int[NDArray[Any], "P Q"]) -> Float[NDArray[Any], "P D"]:
        bottleneck: Any = self._model.bottleneck
        embedded: Tensor = bottleneck.embed_codes(torch.from_numpy(codes).to(self.device))
        values: NDArray[Any] = embedded.float().cpu().numpy()
        return values

    def _join(self, parts: list[DecoderOutput], lengths: Int[NDArray[Any], " N"]) -> PhysicalEvents:
        normalizer = self.restored.normalizer
        physical = normalizer.decode_features(torch.cat([part.features for part in parts])).double().numpy()
        types = [part.type_logits.argmax(dim=1) for part in parts if part.type_logits is not None]
        globals_ = [part.globals for part in parts if part.globals is not None]
        return PhysicalEvents(
            features=dict(zip(self.features, physical.T, strict=True)),
            lengths=lengths,
            ids=torch.cat(types).numpy() + 1 if types else None,
            met=normalizer.decode_globals(torch.cat(globals_)).double().numpy() if globals_ else None,
        )

    def _check_tokens(self, tokens: Tokens) -> Tokens:
        if tokens.fingerprint != self.fingerprint:
            other, own = str(tokens.fingerprint)[:16], self.fingerprint[:16]
            raise DataError(f"tokens: are of another tokenizer ({other}); expected those of {own}")
        checked = self._read_tokens(tokens.latents if tokens.codes is None else tokens.codes, tokens.lengths)
        if checked.codes is not None and not _are_alike(tokens.latents, checked.latents):
            raise DataError(
                "tokens: the latents are not those of the codes; after changing either, give it alone with lengths"
            )
        return checked

    def _read_tokens(self, tokens: Any, lengths: Any) -> Tokens:
        """Return an array of codes or latents as tokens."""
        if lengths is None:
            raise DataError("lengths: is missing; codes and latents need the tokens of each event")
        array = read_array(tokens, "tokens")
        self._refuse_others(array)
        if self.vocabulary is not None and array.dtype.kind in "iu":
            codes = self._read_codes(array)
            latents = self._embed(codes)
        else:
            codes, latents = None, read_numbers(array, "latents", shape=(None, self.latent_dim))
            latents = latents.astype(np.result_type(latents, np.float32), copy=False)
            is_beyond = ((latents > LARGEST_NUMBER) | (latents < -LARGEST_NUMBER)).any(axis=1)
            if is_beyond.any():
                raise DataError(f"latents: entry {int(is_beyond.argmax())} is beyond 32 bits; expected those of encode")
        counts = read_lengths(lengths, len(latents))
        n_tokens = int(counts.sum())
        if len(latents) != n_tokens:
            raise DataError(f"lengths: sum to {n_tokens}; there are {len(latents)} tokens")
        return Tokens(latents, codes, counts, self.fingerprint)

    def _refuse_others(self, array: NDArray[Any]) -> None:
        """Refuse an array that is neither codes nor latents, saying what each would be.

        Raises:
            DataError: It is neither.
        """
        is_number, is_whole = array.dtype.kind in "fiu", array.dtype.kind in "iu"
        has_width = array.ndim == 2 and array.shape[1] == self.latent_dim
        if is_whole and not has_width:
            self._need_vocabulary()
        if is_number and (is_whole or has_width):
            return
        expected = f"latents: numbers in the shape (any number, {self.latent_dim})"
        if self.vocabulary is not None:
            n_quantisers = len(self.vocabulary.codebook_sizes)
            expected = f"codes: an array of type int in the shape (any number, {n_quantisers}), or {expected}"
        raise DataError(f"tokens: hold {array.dtype} in the shape {array.shape}; expected {expected}")

    def _read_codes(self, codes: Any) -> Int[NDArray[Any], "P Q"]:
        sizes = np.array(self._need_vocabulary().codebook_sizes)
        array = read_array(codes, "codes")
        if array.ndim == 1 and len(sizes) == 1:
            array = array[:, None]
        array = read_whole(array, "codes", shape=(None, len(sizes)))
        is_unknown = ((array < 0) | (array >= sizes)).any(axis=1)
        if is_unknown.any():
            first = int(is_unknown.argmax())
            largest = ", ".join(str(size - 1) for size in sizes)
            raise DataError(
                f"codes: token {first} has {array[first].tolist()}; expected 0 to {largest}; sequences with start, "
                "stop and pad go to read_sequences"
            )
        return array

    def _need_vocabulary(self) -> Vocabulary:
        if self.vocabulary is None:
            raise DataError(f"codes: a tokenizer with the bottleneck {self.kind!r} has none; use its latents")
        return self.vocabulary


def load_tokenizer(path: str | Path, device: torch.device | str = "cpu") -> Tokenizer:
    """Return the tokenizer that a run left.

    Args:
        path: The run folder or a checkpoint in it.
        device: Where its model runs, such as cpu or cuda.

    Raises:
        ConfigError: There is no such device.
        DataError: There is no checkpoint, or it does not describe a model.
        FactsError: The disk does not give it.
    """
    place = read_device(device)
    file = _find_checkpoint(_read_path(path))
    return Tokenizer(restore_model(file), hash_file(file), place)


def _find_checkpoint(path: Path) -> Path:
    """Return the checkpoint with the best weights of a run folder, or `path` itself where it is a file.

    Raises:
        DataError: There is none.
    """
    try:
        found = find_best(path) if path.is_dir() else path
        if found is None:
            raise DataError(f"{path}: {_explain_absence(path)}")
    except OSError as error:
        raise DataError(
            f"{str(path)[:100]}: cannot be read ({error.strerror}); give the folder of a trained run"
        ) from error
    return found


def _explain_absence(folder: Path) -> str:
    """Return what a folder without a checkpoint is, and what would be right."""
    if (folder / SWEEP_FILE).is_file():
        return "is a sweep, which holds a folder for each of its runs; give one of them"
    if (folder / MANIFEST_FILE).is_file():
        return "is a report; give the folder of one of the runs that it compares"
    if (folder / LAST_CHECKPOINT).is_file():
        remedy = f"let it go on with thesis-train resume={folder}, or give its {LAST_CHECKPOINT}"
        return f"its training has no best weights yet; {remedy}"
    return f"holds neither {' nor '.join(BEST_FILES)}; give the folder of a trained run"


def _read_path(path: Any) -> Path:
    """Return a path that a user gave.

    Raises:
        DataError: It is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"path: is {type(path).__name__}; expected a text or a Path")
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        raise DataError(f"path: {str(path)[:100]!r} is none ({error}); expected a text or a Path") from error


def _check_count(value: Any, where: str) -> None:
    """Refuse what is no number of events.

    Raises:
        DataError: It is below 1 or not whole.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise DataError(f"{where}: is {value!r:.40}; expected a whole number, 1 or more")


def _are_alike(latents: Any, expected: Float[NDArray[Any], "P D"]) -> bool:
    """Return whether latents that came with codes are theirs, up to what another device may round."""
    given = read_numbers(latents, "latents", shape=(None, None))
    size = float(np.abs(expected).max(initial=0))
    return given.shape == expected.shape and np.allclose(given, expected, rtol=1e-3, atol=1e-3 * size)


def _refuse_endless(events: PhysicalEvents) -> None:
    """Refuse events that a decoder made no finite numbers of.

    Raises:
        DataError: An event has a value that is not finite.
    """
    is_bad = np.zeros(events.n_events, dtype=bool)
    owners = np.repeat(np.arange(events.n_events), events.lengths)
    for values in events.features.values():
        is_bad[owners[~np.isfinite(values)]] = True
    if events.met is not None:
        is_bad |= ~np.isfinite(events.met).all(axis=1)
    if is_bad.any():
        first = int(is_bad.argmax())
        raise DataError(f"tokens: event {first} decodes to NaN or infinity; expected latents such as encode makes them")
