"""Losses: one class a file; `LOSSES` is the closed set that `phase1/loss` may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.base import FeatureLoss
from thesis_ml.architectures.autoencoder.losses.chamfer import ChamferLoss
from thesis_ml.architectures.autoencoder.losses.huber import HuberLoss
from thesis_ml.architectures.autoencoder.losses.mse import MSELoss
from thesis_ml.architectures.autoencoder.losses.sinkhorn import SinkhornLoss

LOSSES: Mapping[str, type[FeatureLoss]] = {
    "mse": MSELoss,
    "huber": HuberLoss,
    "chamfer": ChamferLoss,
    "sinkhorn": SinkhornLoss,
}
