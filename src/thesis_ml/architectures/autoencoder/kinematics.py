"""Physical values of encoded tokens, for the components that measure distances between the objects of an event."""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor

from thesis_ml.data.batch import DataDims
from thesis_ml.errors import ConfigError


def require_features(available: Sequence[str], needed: Sequence[str], where: str) -> None:
    """Refuse data without a feature that a component needs.

    Args:
        available: Physical features of the data, `data.features`.
        needed: Physical features that the component reads.
        where: The key that chose the component, for the message.

    Raises:
        ConfigError: A needed feature is left out of the data.
    """
    missing = [feature for feature in needed if feature not in available]
    if missing:
        raise ConfigError(
            f"{where}: needs {', '.join(missing)}, which data.features leaves out; add it or choose another option"
        )


def decode_tokens(features: Float[Tensor, "P F"], dims: DataDims) -> Mapping[str, Float[Tensor, " P"]]:
    """Return the physical features of encoded tokens by name, in GeV and radian; gradients pass through."""
    values = dims.normalizer.decode_features(features)
    return dict(zip(dims.normalizer.features, values.unbind(1), strict=True))
