"""Writes the trained network as ONNX with explicit states, and its card beside it."""

import json
import os
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS, FLOOR, HOP_SAMPLES, SAMPLE_RATE
from avatar.phones import PHONES
from training.network import BLOCK_ROWS, DELAYS_ROWS, LipSyncNet
from training.weights import halve

ROW_S = 0.02
FIRST_DELAY_ROWS = 4
"""The heads with which a speech begins."""

PRESS, CLOSED_VISEME = MOUTH.index("press"), VISEMES.index("PP")
CLOSED_PHONES = slice(PHONES.index("p"), PHONES.index("m") + 1)
SUREST = 1e-6
"""No head's word for closed lips counts for more than this lets it."""
HEADS_OF_PRESS = 3


def _logit(probability: Tensor) -> Tensor:
    bounded = probability.clamp(SUREST, 1 - SUREST)
    return torch.log(bounded) - torch.log(1 - bounded)


class _Exported(nn.Module):
    """The network for one stream, with probabilities for logits.

    There is no batch, and one state for all that the blocks look back to: each step of the graph
    and each tensor handed over costs about as much as the arithmetic of a block.

    Three heads look for lips pressed together, the control, the viseme and the phones; their mean
    is steadier than any of them on voices that the network does not know.
    """

    def __init__(self, network: LipSyncNet) -> None:
        super().__init__()
        self.network = network
        of_press = functional.one_hot(torch.tensor(PRESS), len(MOUTH))
        self.register_buffer("own_share", 1 - of_press * (1 - 1 / HEADS_OF_PRESS))
        self.register_buffer("closed_share", of_press / HEADS_OF_PRESS)

    def forward(
        self, mel: Tensor, entry: Tensor, blocks: Tensor, memory: Tensor, recall: Tensor
    ) -> tuple[Tensor, ...]:
        network = self.network
        merged, states = network.merged(mel[0], entry, *blocks.split(BLOCK_ROWS), memory, recall)
        entry, *blocks_seen, memory, recall = states
        delays = len(DELAYS_ROWS)
        mouth, visemes, phones = (
            head(merged).reshape(1, -1, delays, head.out_features // delays)
            for head in network.heads
        )
        visemes, phones = torch.softmax(visemes, -1), torch.log_softmax(phones, -1)
        lips = torch.exp(phones[..., CLOSED_PHONES]).sum(-1, keepdim=True)
        closed = _logit(torch.cat([visemes[..., CLOSED_VISEME : CLOSED_VISEME + 1], lips], -1))
        mouth = mouth * self.own_share + closed.sum(-1, keepdim=True) * self.closed_share
        blocks = torch.cat(blocks_seen)
        return torch.sigmoid(mouth), visemes, phones, entry, blocks, memory, recall


def export(
    network: LipSyncNet,
    path: Path,
    about: dict[str, Any],
    phone_shares: list[float],
    phone_s: dict[str, float],
) -> None:
    """Write path and path + ".json"; each replaces an older file in one step.

    Args:
        network: trained; put into evaluation mode.
        path: the ONNX file to write.
        about: the fields of the card that describe rather than run the model.
        phone_shares: how often training met each of PHONES.
        phone_s: mean length of each of PHONES in English speech, seconds.
    """
    network.eval()
    entry, *blocks, memory, recall = (state[0] for state in network.first_states(1))
    states = {"entry": entry, "blocks": torch.cat(blocks), "memory": memory, "recall": recall}
    nexts = [f"{name}_next" for name in states]
    partial = path.with_name(path.name + ".partial")
    heads = {"mouth": len(MOUTH), "visemes": len(VISEMES), "phones": len(PHONES)}
    torch.onnx.export(
        _Exported(network).eval(),
        (torch.zeros(1, 4, BANDS), *states.values()),
        str(partial),
        input_names=["mel", *states],
        output_names=[*heads, *nexts],
        dynamic_axes={"mel": {1: "hops"}, **{head: {1: "rows"} for head in heads}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(partial)
    halve(model)
    onnx.save(model, partial)
    row = {"rate_hz": 1 / ROW_S}
    card = {
        **about,
        "sample_rate_hz": SAMPLE_RATE,
        "hop_samples": HOP_SAMPLES,
        "bands": BANDS,
        "floor": FLOOR,
        "row_s": ROW_S,
        "delays_s": [round(rows * ROW_S, 3) for rows in DELAYS_ROWS],
        "lookahead_s": round(FIRST_DELAY_ROWS * ROW_S, 3),
        "controls": list(MOUTH),
        "visemes": list(VISEMES),
        "phones": list(PHONES),
        "phone_shares": [round(share, 6) for share in phone_shares],
        "phone_s": {phone: round(length, 4) for phone, length in phone_s.items()},
        "inputs": [
            {"name": "mel", "shape": [1, "hops", BANDS], "rate_hz": SAMPLE_RATE / HOP_SAMPLES}
        ],
        "outputs": [
            {"name": head, "shape": [1, "rows", len(DELAYS_ROWS), width], **row}
            for head, width in heads.items()
        ],
        "states": [
            {"input": name, "output": after, "shape": list(state.shape)}
            for (name, state), after in zip(states.items(), nexts, strict=True)
        ],
    }
    card_partial = path.with_name(path.name + ".json.partial")
    card_partial.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    os.replace(partial, path)
    os.replace(card_partial, path.with_name(path.name + ".json"))
