"""Losses: one class a file; `LOSSES` is the closed set that `phase1/loss` may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.losses.huber import HuberLoss
from thesis_ml.architectures.autoencoder.losses.mse import MSELoss

LOSSES: Mapping[str, type[MSELoss] | type[HuberLoss]] = {"mse": MSELoss, "huber": HuberLoss}
