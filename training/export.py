"""Writes the trained network as ONNX with explicit states, and its card beside it."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS, HOP_SAMPLES, SAMPLE_RATE
from training.network import DELAY_ROWS, LipSyncNet

ROW_S = 0.02


PRESS, CLOSED_VISEME = MOUTH.index("press"), VISEMES.index("PP")
HEADS_OF_PRESS = 2


class _Exported(nn.Module):
    """The network with probabilities for logits and without the head that only trains it.

    Two heads look for lips pressed together, the control and the viseme; their mean is steadier
    than either on voices that the network does not know.
    """

    def __init__(self, network: LipSyncNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        mouth, visemes, _, *next_states = self.network(mel, *states)
        others = torch.cat([visemes[..., :CLOSED_VISEME], visemes[..., CLOSED_VISEME + 1 :]], -1)
        closed = visemes[..., CLOSED_VISEME] - torch.logsumexp(others, -1)
        press = (mouth[..., PRESS] + closed) / HEADS_OF_PRESS
        mouth = torch.cat([mouth[..., :PRESS], press[..., None], mouth[..., PRESS + 1 :]], -1)
        return (torch.sigmoid(mouth), torch.softmax(visemes, -1), *next_states)


def export(network: LipSyncNet, path: Path, about: dict[str, Any]) -> None:
    """Write path and path + ".json"; each replaces an older file in one step.

    Args:
        network: trained; put into evaluation mode.
        path: the ONNX file to write.
        about: the fields of the card that describe rather than run the model.
    """
    network.eval()
    states = network.first_states(1)
    names = ["entry", *(f"block{i}" for i in range(len(states) - 2)), "memory"]
    nexts = [f"{name}_next" for name in names]
    partial = path.with_name(path.name + ".partial")
    torch.onnx.export(
        _Exported(network).eval(),
        (torch.zeros(1, 4, BANDS), *states),
        str(partial),
        input_names=["mel", *names],
        output_names=["mouth", "visemes", *nexts],
        dynamic_axes={"mel": {1: "hops"}, "mouth": {1: "rows"}, "visemes": {1: "rows"}},
        opset_version=17,
        dynamo=False,
    )
    row = {"rate_hz": 1 / ROW_S}
    card = {
        **about,
        "sample_rate_hz": SAMPLE_RATE,
        "hop_samples": HOP_SAMPLES,
        "bands": BANDS,
        "row_s": ROW_S,
        "lookahead_s": round(DELAY_ROWS * ROW_S, 3),
        "controls": list(MOUTH),
        "visemes": list(VISEMES),
        "inputs": [
            {"name": "mel", "shape": [1, "hops", BANDS], "rate_hz": SAMPLE_RATE / HOP_SAMPLES}
        ],
        "outputs": [
            {"name": "mouth", "shape": [1, "rows", len(MOUTH)], **row},
            {"name": "visemes", "shape": [1, "rows", len(VISEMES)], **row},
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
