"""The neighbours of a token in the graph encoder; `test_encoders.py` holds the rest."""

import torch

from thesis_ml.architectures.autoencoder.encoders.gnn import GNNEncoder
from thesis_ml.data.batch import DataDims, TokenBatch


def test_nearest_neighbours_alone_send_messages(dims: DataDims) -> None:
    assert dims.normalizer is not None
    phi = torch.tensor([3.1, -3.1, 2.0, -2.0])
    tokens = torch.stack((torch.full((4,), 60.0), torch.full((4,), 50.0), torch.zeros(4), phi), dim=1)
    batch = TokenBatch(
        features=dims.normalizer.encode_features(tokens, torch.zeros(4, dtype=torch.long)),
        types=torch.zeros(4, dtype=torch.long),
        lengths=torch.tensor([4]),
        globals=torch.zeros(1, dims.n_globals),
        labels=torch.zeros(1, dtype=torch.long),
        weights=torch.ones(1),
        index=torch.zeros(1, dtype=torch.long),
    )
    encoder = GNNEncoder(GNNEncoder.Config(enc_hidden=(16,), n_neighbors=1), dims, 3)

    before, after = encoder(batch), encoder(batch._replace(types=torch.tensor([0, 1, 0, 0])))

    # Across pi, 0 and 1 are nearest to each other; 1 is also the nearest of 3.
    assert (before != after).any(dim=1).nonzero().flatten().tolist() == [0, 1, 3]
