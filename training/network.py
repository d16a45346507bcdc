"""The network: log-mel rows in, mouth controls, visemes and phones out; all causal."""

import torch
from torch import Tensor, nn

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS
from avatar.phones import PHONES

CHANNELS = 128
HIDDEN = 160
DILATIONS = (1, 2, 4, 8)
DELAYS_ROWS = (2, 4, 7)
"""Each set of heads describes the mouth this many rows (20 ms each) before the newest row."""
ENTRY_DROPOUT, BLOCK_DROPOUT, MERGE_DROPOUT = 0.05, 0.05, 0.15


class LipSyncNet(nn.Module):
    """Strided convolution, dilated causal convolutions, GRU, three heads for each delay.

    Every layer that looks back takes what it needs as an explicit state tensor, so that the
    same forward pass serves training, offline use and streaming.
    """

    def __init__(self) -> None:
        super().__init__()
        self.chance = torch.Generator()
        """Of what is dropped while training."""
        self.register_buffer("mean", torch.zeros(BANDS))
        self.register_buffer("scale", torch.ones(BANDS))
        self.entry = nn.Conv1d(BANDS, CHANNELS, 5, stride=2)
        self.blocks = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in DILATIONS)
        self.memory = nn.GRU(CHANNELS, HIDDEN, batch_first=True)
        self.merge = nn.Linear(HIDDEN + CHANNELS, CHANNELS)
        self.mouth = nn.Linear(CHANNELS, len(DELAYS_ROWS) * len(MOUTH))
        self.visemes = nn.Linear(CHANNELS, len(DELAYS_ROWS) * len(VISEMES))
        self.phones = nn.Linear(CHANNELS, len(DELAYS_ROWS) * len(PHONES))

    def first_states(self, batch: int) -> list[Tensor]:
        """Zeros for the entry (batch, 40, 3), each block (batch, C, 2 d), the GRU (1, batch, H)."""
        return [
            torch.zeros(batch, BANDS, 3),
            *(torch.zeros(batch, CHANNELS, 2 * d) for d in DILATIONS),
            torch.zeros(1, batch, HIDDEN),
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
        entry_state, *block_states, memory_state = states
        x = ((mel - self.mean) * self.scale).transpose(1, 2)
        x = torch.cat([entry_state, x], 2)
        next_states = [x[:, :, -3:]]
        y = self._dropped(nn.functional.silu(self.entry(x)), ENTRY_DROPOUT)
        for state, block, norm in zip(block_states, self.blocks, self.norms, strict=True):
            z = torch.cat([state, y], 2)
            next_states.append(z[:, :, -state.shape[2] :])
            found = nn.functional.silu(norm(block(z).transpose(1, 2)).transpose(1, 2))
            y = y + self._dropped(found, BLOCK_DROPOUT)
        y = y.transpose(1, 2)
        remembered, memory_state = self.memory(y, memory_state)
        both = self._dropped(torch.cat([remembered, y], 2), MERGE_DROPOUT)
        merged = self._dropped(nn.functional.silu(self.merge(both)), MERGE_DROPOUT)
        heads = (
            head(merged).unflatten(-1, (len(DELAYS_ROWS), -1))
            for head in (self.mouth, self.visemes, self.phones)
        )
        return (*heads, *next_states, memory_state)

    def _dropped(self, x: Tensor, share: float) -> Tensor:
        if not self.training:
            return x
        kept = torch.rand(x.shape, generator=self.chance) >= share
        return x * kept / (1 - share)
