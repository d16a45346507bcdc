"""Writes the trained network as ONNX with explicit states, and its card beside it."""

import json
import os
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS, FLOOR, HOP_SAMPLES, SAMPLE_RATE
from avatar.phones import PHONES
from training.network import DELAYS_ROWS, LipSyncNet
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
    """The network with probabilities for logits.

    Three heads look for lips pressed together, the control, the viseme and the phones; their mean
    is steadier than any of them on voices that the network does not know.
    """

    def __init__(self, network: LipSyncNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        mouth, visemes, phones, *next_states = self.network(mel, *states)
        visemes, phones = torch.softmax(visemes, -1), torch.log_softmax(phones, -1)
        lips = torch.exp(phones[..., CLOSED_PHONES]).sum(-1, keepdim=True)
        closed = _logit(torch.cat([visemes[..., CLOSED_VISEME : CLOSED_VISEME + 1], lips], -1))
        press = mouth[..., PRESS : PRESS + 1] + closed.sum(-1, keepdim=True)
        press = press / HEADS_OF_PRESS
        mouth = torch.cat([mouth[..., :PRESS], press, mouth[..., PRESS + 1 :]], -1)
        return (torch.sigmoid(mouth), visemes, phones, *next_states)


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
    states = network.first_states(1)
    names = ["entry", *(f"block{i}" for i in range(len(states) - 3)), "memory", "recall"]
    nexts = [f"{name}_next" for name in names]
    partial = path.with_name(path.name + ".partial")
    heads = {"mouth": len(MOUTH), "visemes": len(VISEMES), "phones": len(PHONES)}
    torch.onnx.export(
        _Exported(network).eval(),
        (torch.zeros(1, 4, BANDS), *states),
        str(partial),
        input_names=["mel", *names],
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
            for name, after, state in zip(names, nexts, states, strict=True)
        ],
    }
    card_partial = path.with_name(path.name + ".json.partial")
    card_partial.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")
    os.replace(partial, path)
    os.replace(card_partial, path.with_name(path.name + ".json"))
