"""Random numbers that belong to an event: a function of seed and row, whichever events share its batch."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15
FIRST_FACTOR, SECOND_FACTOR = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
N_BITS = 24
"""Of a uniform number: all that a 32-bit float between 0.5 and 1 holds."""


def derive_seed(seed: int, *numbers: int) -> int:
    """Return the seed of a stream of its own for each sequence of whole numbers, signed, of 64 bits."""
    state = _mix_number(seed)
    for number in numbers:
        state = _mix_number(state + GOLDEN * (number + 1))
    return _to_signed(state)


def draw_normal(
    index: Int[Tensor, " B"], lengths: Int[Tensor, " B"], *, n_columns: int, seed: int
) -> Float[Tensor, "P F"]:
    """Return unit Gaussian numbers for every token of the events with these rows, in 32 bits.

    Args:
        index: Rows of the events in their file.
        lengths: Tokens of each event.
        n_columns: Numbers of a token, F.
        seed: A result of `derive_seed`.
    """
    bits = _hash_columns(index, lengths, n_columns, seed)
    radius = torch.sqrt(-2 * torch.log(_to_uniform(bits)))
    # Box and Muller, Ann. Math. Stat. 29 (1958) 610: two uniform numbers make a Gaussian one.
    return radius * torch.cos(2 * math.pi * _to_uniform(_shift_right(bits, 64 - N_BITS)))


def draw_uniform(index: Int[Tensor, " B"], lengths: Int[Tensor, " B"], *, seed: int) -> Float[Tensor, " P"]:
    """Return a number in (0, 1] for every token of the events with these rows."""
    return _to_uniform(_hash_columns(index, lengths, 1, seed))[:, 0]


def _hash_columns(
    index: Int[Tensor, " B"], lengths: Int[Tensor, " B"], n_columns: int, seed: int
) -> Int[Tensor, "P F"]:
    """Return 64 random bits per token and column."""
    events = _mix(index.long() * _to_signed(GOLDEN) + seed)
    ranks = torch.arange(1, int(lengths.sum()) + 1, device=lengths.device)
    ranks = ranks - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    tokens = _mix(torch.repeat_interleave(events, lengths) + ranks * _to_signed(GOLDEN))
    columns = torch.arange(1, n_columns + 1, device=index.device) * _to_signed(GOLDEN)
    return _mix(tokens[:, None] + columns)


def _mix(bits: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
    """Return bits that each depend on all the given ones.

    Source: SplitMix64, Steele, Lea and Flood, OOPSLA 2014; products are modulo 2^64.
    """
    bits = (bits ^ _shift_right(bits, 30)) * _to_signed(FIRST_FACTOR)
    bits = (bits ^ _shift_right(bits, 27)) * _to_signed(SECOND_FACTOR)
    return bits ^ _shift_right(bits, 31)


def _shift_right(bits: Int[Tensor, "*N"], count: int) -> Int[Tensor, "*N"]:
    """Return bits moved to the right with zeros behind them; of signed numbers torch repeats the sign."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _to_uniform(bits: Int[Tensor, "*N"]) -> Float[Tensor, "*N"]:
    """Return the lowest bits as a number in (0, 1]."""
    uniform: Tensor = ((bits & ((1 << N_BITS) - 1)) + 1).float() / (1 << N_BITS)
    return uniform


def _mix_number(state: int) -> int:
    state %= 1 << 64
    state = (state ^ (state >> 30)) * FIRST_FACTOR % (1 << 64)
    state = (state ^ (state >> 27)) * SECOND_FACTOR % (1 << 64)
    return state ^ (state >> 31)


def _to_signed(bits: int) -> int:
    return bits - (1 << 64) if bits >= 1 << 63 else bits
