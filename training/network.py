"""The network: log-mel rows in, mouth controls, visemes and phones out; all causal."""

import torch
from torch import Tensor, nn

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS
from training.phones import PHONES

CHANNELS = 128
HIDDEN = 160
DILATIONS = (1, 2, 4, 8)
DELAY_ROWS = 4
"""The heads describe the mouth this many rows (20 ms each) before the newest row."""


class LipSyncNet(nn.Module):
    """Strided convolution, dilated causal convolutions, GRU, three heads.

    Every layer that looks back takes what it needs as an explicit state tensor, so that the
    same forward pass serves training, offline use and streaming.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(BANDS))
        self.register_buffer("scale", torch.ones(BANDS))
        self.entry = nn.Conv1d(BANDS, CHANNELS, 5, stride=2)
        self.blocks = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(nn.LayerNorm(CHANNELS) for _ in DILATIONS)
        self.memory = nn.GRU(CHANNELS, HIDDEN, batch_first=True)
        self.merge = nn.Linear(HIDDEN + CHANNELS, CHANNELS)
        self.mouth = nn.Linear(CHANNELS, len(MOUTH))
        self.visemes = nn.Linear(CHANNELS, len(VISEMES))
        self.phones = nn.Linear(CHANNELS, len(PHONES))

    def first_states(self, batch: int) -> list[Tensor]:
        """Zeros for the entry (batch, 40, 3), each block (batch, C, 2 d), the GRU (1, batch, H)."""
        return [
            torch.zeros(batch, BANDS, 3),
            *(torch.zeros(batch, CHANNELS, 2 * d) for d in DILATIONS),
            torch.zeros(1, batch, HIDDEN),
        ]

    def shift(self, control: str, logit: float) -> None:
        """Add to the logit of one mouth control, so that its best threshold becomes 0.5."""
        with torch.no_grad():
            self.mouth.bias[MOUTH.index(control)] += logit

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits of the three heads and the next states.

        Args:
            mel: (batch, 2 * rows, 40) log-mel.
            states: as from first_states().

        Returns:
            mouth (batch, rows, 10), visemes (batch, rows, 15), phones (batch, rows, P), states.
        """
        entry_state, *block_states, memory_state = states
        x = ((mel - self.mean) * self.scale).transpose(1, 2)
        x = torch.cat([entry_state, x], 2)
        next_states = [x[:, :, -3:]]
        y = nn.functional.silu(self.entry(x))
        for state, block, norm in zip(block_states, self.blocks, self.norms, strict=True):
            z = torch.cat([state, y], 2)
            next_states.append(z[:, :, -state.shape[2] :])
            y = y + nn.functional.silu(norm(block(z).transpose(1, 2)).transpose(1, 2))
        y = y.transpose(1, 2)
        remembered, memory_state = self.memory(y, memory_state)
        merged = nn.functional.silu(self.merge(torch.cat([remembered, y], 2)))
        return (
            self.mouth(merged),
            self.visemes(merged),
            self.phones(merged),
            *next_states,
            memory_state,
        )
