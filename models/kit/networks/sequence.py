"""Recurrent networks over the embeddings of a series' slices: a decision for the series, and one for each slice.

Cho et al., EMNLP 2014 (GRU); Hochreiter and Schmidhuber, Neural Computation 1997 (LSTM). Series are padded to the
length of the longest; what is padded has no influence on any decision.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Cell = Literal["gru", "lstm"]
CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class SequenceClassifier(nn.Module):
    """Embeddings (N, slices, ``embedding``) of N series to logits (N, classes).

    Args:
        embedding: length of a slice's vector.
        classes: logits.
        hidden: units of each direction.
        layers: on top of each other.
        cell: ``gru`` or ``lstm``.
        both_ways: whether a slice also knows what follows it; slices have no direction in time.
        dropout: of the embeddings, between the layers, and before the decisions.
    """

    def __init__(
        self,
        embedding: int,
        classes: int,
        hidden: int = 32,
        layers: int = 1,
        cell: Cell = "gru",
        both_ways: bool = True,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.recurrent = CELLS[cell](
            embedding,
            hidden,
            layers,
            batch_first=True,
            bidirectional=both_ways,
            dropout=dropout if layers > 1 else 0.0,
        )
        width = hidden * (2 if both_ways else 1)
        self.attention = nn.Linear(width, 1)
        self.head = nn.Linear(width, classes)
        self.slice_head = nn.Linear(width, classes)

    def forward(self, embeddings: Tensor, lengths: Tensor) -> Tensor:
        """Logits (N, classes) of the series; ``lengths`` (N,) int64 are the slices that are not padding."""
        return cast(Tensor, self.head(self.dropout(self.features(embeddings, lengths))))

    def features(self, embeddings: Tensor, lengths: Tensor) -> Tensor:
        """The vector (N, width) of each series: its slices' states, weighted by attention (Bahdanau, ICLR 2015)."""
        states = self._states(embeddings, lengths)
        weights = self.attention(states).squeeze(-1).masked_fill(padding(lengths, states.shape[1]), -torch.inf)
        return torch.einsum("ns,nsw->nw", torch.softmax(weights, dim=1), states)

    def slices(self, embeddings: Tensor, lengths: Tensor) -> Tensor:
        """Logits (N, slices, classes) of each slice in its neighbourhood; 0 where there is only padding."""
        states = self._states(embeddings, lengths)
        logits: Tensor = self.slice_head(self.dropout(states))
        return logits.masked_fill(padding(lengths, states.shape[1])[..., None], 0.0)

    def _states(self, embeddings: Tensor, lengths: Tensor) -> Tensor:
        """The recurrent states (N, slices, width).

        Raises:
            ValueError: a series without a slice, or longer than the tensor.
        """
        if embeddings.ndim != 3 or lengths.shape != embeddings.shape[:1]:
            raise ValueError(f"embeddings of shape {tuple(embeddings.shape)} and lengths {tuple(lengths.shape)}")
        if int(lengths.min()) < 1 or int(lengths.max()) > embeddings.shape[1]:
            raise ValueError(f"lengths of {int(lengths.min())} to {int(lengths.max())} in {embeddings.shape[1]} slices")
        packed = pack_padded_sequence(self.dropout(embeddings), lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = self.recurrent(packed)
        return pad_packed_sequence(states, batch_first=True, total_length=embeddings.shape[1])[0]


def padding(lengths: Tensor, slices: int) -> Tensor:
    """True (N, slices) where a series of ``lengths`` has no slice any more."""
    return torch.arange(slices, device=lengths.device)[None] >= lengths[:, None]


def padded(series: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Series of vectors (slices, embedding) as one tensor (N, most slices, embedding), and their lengths (N,)."""
    lengths = torch.tensor([len(one) for one in series])
    return nn.utils.rnn.pad_sequence(series, batch_first=True), lengths
