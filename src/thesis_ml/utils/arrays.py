"""The type of NumPy's arrays in annotations; jaxtyping cannot read that of numpy.typing from NumPy 2.5 on."""

from typing import Any, TypeAlias, TypeVar

import numpy as np

ScalarT = TypeVar("ScalarT", bound=np.generic, covariant=True)
NDArray: TypeAlias = np.ndarray[tuple[Any, ...], np.dtype[ScalarT]]
