"""Layers that encoders and decoders of one family share; all take and give the tokens of a batch back to back.

What an event gives depends on that event alone, up to rounding: in other company, or in another order of its tokens,
sums and matrix products add in another order. The same batch gives the same bits.
"""
