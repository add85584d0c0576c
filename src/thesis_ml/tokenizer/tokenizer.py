"""A trained model as a tokenizer: physical events to codes or latents, and back."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.array_checks import check_arrays, is_awkward, read_awkward
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.checks import (
    ARRAYS,
    LARGEST_NUMBER,
    Place,
    mark_events,
    mark_not_finite,
    read_array,
    read_arrays,
    read_lengths,
    read_numbers,
    read_path,
    read_whole,
    refuse_entries,
)
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import GLOBALS, Events, cut_events, join_events
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import DataError
from thesis_ml.tokenizer.vocabulary import Vocabulary
from thesis_ml.utils.arrays import NDArray

BATCH_EVENTS = 1024


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

    def __repr__(self) -> str:
        size = "no vocabulary" if self.vocabulary is None else f"vocabulary of {self.vocabulary.size}"
        return f"<Tokenizer {self.kind}: {', '.join(self.features)}; {size}; {self.fingerprint[:12]}>"

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
        return self.restored.normalizer.units

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

    def read_events(self, path: str | Path, split: str = "test", limit_events: int | None = None) -> Events:
        """Return the events of one split of a data file, with the tokens and in the order that the model was given.

        Args:
            path: HDF5 file of 2 + 5T columns.
            split: train, val or test.
            limit_events: Read the first events only.

        Raises:
            DataError: The file cannot be used, has no such split, or has other object types.
        """
        path = read_path(path)
        if limit_events is not None:
            _check_count(limit_events, "limit_events")
        options = replace(self.restored.data, path=str(path), synthetic=None, train_classes=None, encoding="auto")
        stored = load_events(replace(options, limit_events=limit_events))
        if not isinstance(split, str) or split not in stored.splits:
            raise Place(path).error(f"no split {split!r:.40}; expected {', '.join(stored.splits)}")
        if stored.type_names != self.type_names:
            known = ", ".join(self.type_names)
            raise Place(path).error(f"object types are {', '.join(stored.type_names)}; the tokenizer knows {known}")
        return stored.splits[split]

    def make_events(self, features: Any, lengths: Any = None, *, ids: Any = None, met: Any = None) -> Events:
        """Return events from arrays or lists, the tokens of all events back to back, or from an awkward array.

        Args:
            features: A column for each of `features` [P, C] or arrays by name; GeV and radian. Or awkward records of
                pt, eta, phi, mass or E, and ids, a list for each event: then lengths and ids are left out.
            lengths: Tokens of each event [N], 0 or more.
            ids: Object ids [P], from 1 as in `type_names`.
            met: MET in GeV and METphi in radian [N, 2].

        Raises:
            DataError: Something has no numbers, or another shape than the rest.
        """
        if met is None:
            raise DataError("met: is missing; expected MET in GeV and METphi in radian, [N, 2]")
        if is_awkward(features):
            return read_awkward(features, self.features, met)
        for name, values, meaning in (("lengths", lengths, "the tokens of each event"), ("ids", ids, "object ids")):
            if values is None:
                raise DataError(f"{name}: is missing; expected {meaning}")
        return read_arrays(features, self.features, lengths=lengths, ids=ids, met=met)

    def encode(self, events: Events, batch_size: int = BATCH_EVENTS) -> Tokens:
        """Return codes and latents of events in GeV and radian.

        Args:
            events: From `read_events`, `make_events` or `decode`.
            batch_size: Events at a time; it changes nothing but rounding.

        Raises:
            DataError: A value is missing, not finite, impossible or in another unit.
        """
        _check_count(batch_size, "batch_size")
        if not isinstance(events, Events):
            raise DataError(f"events: is {type(events).__name__}; expected those of make_events, read_events or decode")
        normalizer = self.restored.normalizer
        events = check_arrays(events, normalizer, len(self.type_names))
        split = encode_events(events, normalizer)
        is_far = mark_events(events, ~split.features.isfinite().all(dim=1).numpy())
        ARRAYS.refuse_rows(is_far, "lies too far from the training data; expected GeV and radian")
        parts = [self._encode_batch(batch) for batch in iterate_batches(split, batch_size, generator=None)]
        values = [np.zeros((0, self.latent_dim), dtype=np.float32), *(part for part, _ in parts)]
        latents = np.concatenate(values)
        is_bad = mark_events(events, ~np.isfinite(latents).all(axis=1))
        ARRAYS.refuse_rows(is_bad, "has latents that are NaN or infinity; expected values as in training")
        codes = [part for _, part in parts if part is not None]
        if self.vocabulary is not None:
            codes = [np.zeros((0, len(self.vocabulary.codebook_sizes)), dtype=np.int64), *codes]
        return Tokens(
            latents=latents,
            codes=np.concatenate(codes) if codes else None,
            lengths=events.lengths,
            fingerprint=self.fingerprint,
        )

    def decode(self, tokens: Tokens | Any, lengths: Any = None, batch_size: int = BATCH_EVENTS) -> Events:
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
        pieces = list(cut_events(checked.lengths, batch_size)) or [(slice(0), slice(0))]
        parts = [self._decode_batch(checked.latents[part], checked.lengths[events]) for events, part in pieces]
        events = replace(join_events(parts), index=np.arange(len(checked.lengths)))
        problem = "decodes to NaN or infinity; expected latents such as encode makes them"
        ARRAYS.refuse_rows(mark_not_finite(events), problem)
        return events

    def embed(self, codes: Any) -> Float[NDArray[Any], "P D"]:
        """Return the latents that codes [P] or [P, Q] stand for.

        Raises:
            DataError: They are no codes of this tokenizer.
        """
        return self._embed(self._need_vocabulary().read_codes(codes))

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
        return vocabulary.write_sequences(tokens.codes, tokens.lengths)

    def read_sequences(self, sequences: Any) -> Tokens:
        """Return the tokens of sequences as `to_sequences` makes them, such as those of a generative model.

        Raises:
            DataError: A sequence breaks the form.
        """
        vocabulary = self._need_vocabulary()
        array = read_whole(sequences, "sequences", shape=(None, None))
        return self._read_tokens(*vocabulary.read_sequences(array))

    @torch.no_grad()
    def _encode_batch(self, batch: TokenBatch) -> tuple[NDArray[Any], NDArray[Any] | None]:
        latent = self._model.encode(batch.to(self.device))
        codes = None if latent.codes is None else latent.codes.cpu().numpy()
        return latent.values.float().cpu().numpy(), codes

    @torch.no_grad()
    def _decode_batch(self, values: Float[NDArray[Any], "P D"], lengths: Int[NDArray[Any], " B"]) -> Events:
        latents = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
        decoded = self._model.decode(latents.to(self.device), torch.from_numpy(lengths).to(self.device))
        normalizer = self.restored.normalizer
        types = None if decoded.types is None else decoded.types.cpu()
        features = normalizer.decode_features(decoded.features.float().cpu(), types).double().numpy().T
        globals_ = {}
        if decoded.globals is not None:
            physical = normalizer.decode_globals(decoded.globals.float().cpu()).double().numpy().T
            globals_ = dict(zip(GLOBALS, physical, strict=True))
        ids = None if types is None else types.numpy() + 1
        return Events.without_labels(dict(zip(self.features, features, strict=True)), ids, lengths, globals_)

    @torch.no_grad()
    def _embed(self, codes: Int[NDArray[Any], "P Q"]) -> Float[NDArray[Any], "P D"]:
        bottleneck: Any = self._model.bottleneck
        embedded: Tensor = bottleneck.embed_codes(torch.from_numpy(codes).to(self.device))
        values: NDArray[Any] = embedded.float().cpu().numpy()
        return values

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
        codes = None
        if self.vocabulary is not None and array.dtype.kind in "iu":
            codes = self.vocabulary.read_codes(array)
            array = self._embed(codes)
        latents = read_numbers(array, "latents", shape=(None, self.latent_dim))
        is_beyond = (latents > LARGEST_NUMBER) | (latents < -LARGEST_NUMBER)
        refuse_entries(is_beyond, "latents: entry", "is beyond 32 bits; expected those of encode")
        counts = read_lengths(lengths, len(latents))
        if len(latents) != counts.sum():
            raise DataError(f"lengths: sum to {counts.sum()}; there are {len(latents)} tokens")
        return Tokens(latents.astype(np.result_type(latents, np.float32), copy=False), codes, counts, self.fingerprint)

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

    def _need_vocabulary(self) -> Vocabulary:
        if self.vocabulary is None:
            raise DataError(f"codes: a tokenizer with the bottleneck {self.kind!r} has none; use its latents")
        return self.vocabulary


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
