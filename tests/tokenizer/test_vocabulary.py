"""Sequences of codes: what is written comes back, and what breaks their form is refused."""

import numpy as np
import pytest

from small_tokenizers import CODED, assert_same
from thesis_ml.errors import DataError
from thesis_ml.tokenizer.vocabulary import Vocabulary


def test_codes_of_known_quantisers_become_known_numbers() -> None:
    vocabulary = Vocabulary((4, 3))
    codes, lengths = np.array([[3, 0], [0, 2]]), np.array([2, 0])

    sequences = vocabulary.write_sequences(codes, lengths)

    assert sequences.tolist() == [[7, 3, 4, 0, 6, 8], [7, 8, 9, 9, 9, 9]]
    for found, expected in zip(vocabulary.read_sequences(sequences), (codes, lengths), strict=True):
        np.testing.assert_array_equal(found, expected)


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


@pytest.mark.parametrize(
    "row",
    [[0, 17, 18], [16, 1, 2], [16, 17, 1], [16, 1, 17, 17], [16, 18, 17], [17, 16, 18]],
    ids=["no start", "no stop", "code behind stop", "two stops", "pad inside", "reversed"],
)
def test_broken_sequences_are_refused(make_tokenizer, row: list[int]) -> None:
    with pytest.raises(DataError, match=r"is no sequence; expected start|codes: token"):
        make_tokenizer("vq").read_sequences([row])
