"""The Chamfer distance against the assignment of tokens."""

from exact_transport import make_events
from thesis_ml.architectures.autoencoder.losses.chamfer import ChamferLoss
from thesis_ml.data.batch import DataDims


def test_chamfer_is_at_most_exact_transport(dims: DataDims) -> None:
    """Several tokens may share one counterpart."""
    true, found, lengths, exact = make_events()

    values = ChamferLoss(ChamferLoss.Config(), dims)(found, true, lengths)

    assert (values[lengths.cumsum(0) - 1] <= exact + 1e-5).all()
