"""Layers that encoders and decoders of one family share; all take and give the tokens of a batch back to back."""
