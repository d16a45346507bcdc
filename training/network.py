"""The network: log-mel rows in, mouth controls, visemes and phones out; all causal."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS
from avatar.phones import PHONES

CHANNELS = 128
HIDDEN, SECOND_HIDDEN = 160, 224
MERGED = 192
DILATIONS = (1, 2, 4, 8, 1, 2)
BLOCK_ROWS = tuple(2 * dilation for dilation in DILATIONS)
"""How far each block looks back."""
DELAYS_ROWS = (2, 4, 7)
"""Each set of heads describes the mouth this many rows (20 ms each) before the newest row."""
ENTRY_DROPOUT, BLOCK_DROPOUT, MERGE_DROPOUT = 0.05, 0.05, 0.1


class Along(nn.Linear):
    """A convolution along the rows, as a product of the rows that it looks at.

    Its weights are those of the product, which is quicker for the few rows of a stream; training
    has many and convolves.
    """

    def __init__(
        self, inputs: int, outputs: int, taps: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(taps * inputs, outputs)
        self.taps, self.stride, self.dilation = taps, stride, dilation

    def forward(self, x: Tensor) -> Tensor:
        """(…, rows, outputs) of (…, rows * stride + (taps - 1) * dilation …, inputs)."""
        if self.training:
            weight = self.weight.unflatten(1, (self.taps, -1)).transpose(1, 2)
            x = x.transpose(1, 2)
            y = functional.conv1d(x, weight, self.bias, self.stride, dilation=self.dilation)
            return y.transpose(1, 2)
        reach = (self.taps - 1) * self.dilation
        ends = [*range(-reach, 0, self.dilation), None]
        seen = [x[..., reach + (end or 0) : end : self.stride, :] for end in ends]
        return super().forward(torch.cat(seen, -1))


class LipSyncNet(nn.Module):
    """Strided convolution, dilated causal convolutions, two GRUs, three heads for each delay.

    Every layer that looks back takes what it needs as an explicit state tensor, so that the
    same forward pass serves training, offline use and streaming.
    """

    def __init__(self) -> None:
        super().__init__()
        self.chance = torch.Generator()
        """Of what is dropped while training."""
        self.register_buffer("mean", torch.zeros(BANDS))
        self.register_buffer("scale", torch.ones(BANDS))
        self.entry = Along(BANDS, CHANNELS, 5, stride=2)
        self.blocks = nn.ModuleList(Along(CHANNELS, CHANNELS, 3, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in DILATIONS)
        self.memory = nn.GRU(CHANNELS, HIDDEN, batch_first=True)
        self.recall = nn.GRU(HIDDEN + CHANNELS, SECOND_HIDDEN, batch_first=True)
        self.merge = nn.Linear(HIDDEN + CHANNELS + SECOND_HIDDEN, MERGED)
        self.mouth = nn.Linear(MERGED, len(DELAYS_ROWS) * len(MOUTH))
        self.visemes = nn.Linear(MERGED, len(DELAYS_ROWS) * len(VISEMES))
        self.phones = nn.Linear(MERGED, len(DELAYS_ROWS) * len(PHONES))

    def first_states(self, batch: int) -> list[Tensor]:
        """Zeros: entry (batch, 3, 40), each block (batch, 2 d, C), each GRU (1, batch, H)."""
        return [
            torch.zeros(batch, 3, BANDS),
            *(torch.zeros(batch, rows, CHANNELS) for rows in BLOCK_ROWS),
            torch.zeros(1, batch, HIDDEN),
            torch.zeros(1, batch, SECOND_HIDDEN),
        ]

    def shift(self, control: str, logit: float) -> None:
        """Add to the logits of one mouth control, so that its best threshold becomes 0.5."""
        with torch.no_grad():
            self.mouth.bias[MOUTH.index(control) :: len(MOUTH)] += logit

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits of the three heads and the next states.

        Args:
            mel: (batch, 2 * rows, 40) log-mel.
            states: as from first_states().

        Returns:
            mouth (batch, rows, D, 10), visemes (batch, rows, D, 15), phones (batch, rows, D, P)
            for the D delays of DELAYS_ROWS, states.
        """
        merged, next_states = self.merged(mel, *states)
        heads = (head(merged) for head in self.heads)
        return (*(head.unflatten(-1, (len(DELAYS_ROWS), -1)) for head in heads), *next_states)

    @property
    def heads(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """Of mouth, visemes and phones; each gives the numbers of one delay after the other."""
        return self.mouth, self.visemes, self.phones

    def merged(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the heads look at, (batch, rows, MERGED), and the next states.

        While the network is not trained all of this may be without a batch.
        """
        entry_state, *block_states, memory_state, recall_state = states
        x = torch.cat([entry_state, (mel - self.mean) * self.scale], -2)
        next_states = [x[..., -3:, :]]
        y = self._dropped(functional.silu(self.entry(x)), ENTRY_DROPOUT)
        layers = zip(block_states, self.blocks, self.norms, BLOCK_ROWS, strict=True)
        for state, block, norm, rows in layers:
            z = torch.cat([state, y], -2)
            next_states.append(z[..., -rows:, :])
            y = y + self._dropped(functional.silu(norm(block(z))), BLOCK_DROPOUT)
        remembered, memory_state = self.memory(y, memory_state)
        both = self._dropped(torch.cat([remembered, y], -1), MERGE_DROPOUT)
        recalled, recall_state = self.recall(both, recall_state)
        everything = torch.cat([both, self._dropped(recalled, MERGE_DROPOUT)], -1)
        merged = self._dropped(functional.silu(self.merge(everything)), MERGE_DROPOUT)
        return merged, [*next_states, memory_state, recall_state]

    def _dropped(self, x: Tensor, share: float) -> Tensor:
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.chance) >= share
        return x * kept / (1 - share)
