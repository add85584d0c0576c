"""Physical values of encoded tokens."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.kinematics import decode_tokens, require_features
from thesis_ml.data.batch import DataDims
from thesis_ml.errors import ConfigError


def test_decode_tokens_inverts_the_encoding_by_name(dims: DataDims) -> None:
    physical = torch.tensor([[60.0, 50.0, 0.5, 3.1], [2000.0, 31.0, -2.0, -0.2]], dtype=torch.float64)

    values = decode_tokens(dims.normalizer.encode_features(physical), dims)

    assert list(values) == ["E", "pt", "eta", "phi"]
    torch.testing.assert_close(torch.stack(list(values.values()), dim=1).double(), physical, rtol=1e-5, atol=1e-5)


def test_require_features_names_what_is_missing_and_where() -> None:
    require_features(("pt", "eta", "phi"), ("eta", "phi"), "phase1.encoder")

    with pytest.raises(ConfigError, match=r"^phase1\.encoder: needs eta, phi, which data\.features leaves out; add"):
        require_features(("E", "pt"), ("pt", "eta", "phi"), "phase1.encoder")
