"""Layers that encoders and decoders of one family share; all take and give the tokens of a batch back to back.

The result for an event depends on that event alone, up to rounding: with other events in its batch, or with its tokens
in another order, sums and matrix products add in another order. The same batch gives the same bits.
"""
