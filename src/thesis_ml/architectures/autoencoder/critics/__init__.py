"""Critics of whole events: one class a file; `CRITICS` is the closed set that a config may choose from.

None has dropout: a score is a function of the event, and a critic draws no random number of the autoencoder's.
"""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.critics.base import Critic
from thesis_ml.architectures.autoencoder.critics.deepsets import DeepSetsCritic
from thesis_ml.architectures.autoencoder.critics.transformer import TransformerCritic

CRITICS: Mapping[str, type[Critic]] = {
    "deepsets": DeepSetsCritic,
    "transformer": TransformerCritic,
}
