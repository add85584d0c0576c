"""Beartype as jaxtyping's import hook uses it: an int passes for a float, as in every type checker."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
