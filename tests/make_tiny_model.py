"""Rebuilds tests/data/tiny.onnx and window.onnx with their cards: the lip-sync model's interface,
and one such as others make, the mouth opened by loudness alone. Needs the package `onnx`:
python tests/make_tiny_model.py"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

from avatar.controls import MOUTH, VISEMES
from avatar.features import BANDS, FLOOR, HOP_SAMPLES, SAMPLE_RATE
from avatar.phones import PHONES

PATH = Path(__file__).parent / "data" / "tiny.onnx"
HISTORY_HOPS = 8
MIDDLE = -8.0
"""Mean log-mel at which the mouth is half open; digital silence is -13.8, a loud voice -4."""


def tiny_model() -> onnx.ModelProto:
    """Row k is a function of the two hops that lie four rows behind the newest one.

    It knows one viseme and one phone, both "aa", and takes all that is loud for them.
    """
    opening = np.zeros((2 * BANDS, len(MOUTH)), np.float32)
    bias = np.full(len(MOUTH), -6.0, np.float32)
    for name, slope in (("jaw", 0.8), ("open", 1.0), ("speak", 2.0)):
        opening[:, MOUTH.index(name)] = slope / (2 * BANDS)
        bias[MOUTH.index(name)] = -slope * MIDDLE
    shapes = np.zeros((2 * BANDS, len(VISEMES)), np.float32)
    shapes[:, VISEMES.index("aa")] = 2.0 / (2 * BANDS)
    shape_bias = np.full(len(VISEMES), -9.0, np.float32)
    shape_bias[VISEMES.index("sil")] = 0.0
    shape_bias[VISEMES.index("aa")] = -2.0 * MIDDLE
    sounds = np.zeros((2 * BANDS, len(PHONES)), np.float32)
    sounds[:, PHONES.index("aa")] = 2.0 / (2 * BANDS)
    sound_bias = np.full(len(PHONES), -9.0, np.float32)
    sound_bias[PHONES.index("sil")] = 0.0
    sound_bias[PHONES.index("aa")] = -2.0 * MIDDLE
    constants: dict[str, Any] = {
        "sounds": sounds,
        "sound_bias": sound_bias,
        "delays": np.array([2], np.int64),
        "opening": opening,
        "bias": bias,
        "shapes": shapes,
        "shape_bias": shape_bias,
        "one": np.array([1], np.int64),
        "late": np.array([1 - HISTORY_HOPS], np.int64),
        "history_start": np.array([-HISTORY_HOPS], np.int64),
        "end": np.array([2**31 - 1], np.int64),
        "pairs": np.array([1, -1, 2 * BANDS], np.int64),
    }
    nodes = [
        helper.make_node("Concat", ["history", "mel"], ["all"], axis=1),
        helper.make_node("Slice", ["all", "one", "late", "one"], ["heard"]),
        helper.make_node("Slice", ["all", "history_start", "end", "one"], ["history_next"]),
        helper.make_node("Reshape", ["heard", "pairs"], ["rows"]),
        helper.make_node("MatMul", ["rows", "opening"], ["opened"]),
        helper.make_node("Add", ["opened", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["mouth_row"]),
        helper.make_node("Unsqueeze", ["mouth_row", "delays"], ["mouth"]),
        helper.make_node("MatMul", ["rows", "shapes"], ["shaped"]),
        helper.make_node("Add", ["shaped", "shape_bias"], ["shape_logits"]),
        helper.make_node("Softmax", ["shape_logits"], ["viseme_row"], axis=-1),
        helper.make_node("Unsqueeze", ["viseme_row", "delays"], ["visemes"]),
        helper.make_node("MatMul", ["rows", "sounds"], ["sounded"]),
        helper.make_node("Add", ["sounded", "sound_bias"], ["sound_logits"]),
        helper.make_node("LogSoftmax", ["sound_logits"], ["phone_row"], axis=-1),
        helper.make_node("Unsqueeze", ["phone_row", "delays"], ["phones"]),
    ]

    def tensor(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "tiny",
        [tensor("mel", 1, "hops", BANDS), tensor("history", 1, HISTORY_HOPS, BANDS)],
        [
            tensor("mouth", 1, "rows", 1, len(MOUTH)),
            tensor("visemes", 1, "rows", 1, len(VISEMES)),
            tensor("phones", 1, "rows", 1, len(PHONES)),
            tensor("history_next", 1, HISTORY_HOPS, BANDS),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    model.producer_name = "make_tiny_model"
    onnx.checker.check_model(model)
    return model


def tiny_card() -> dict[str, Any]:
    """The card of tiny_model()."""
    return {
        "name": "tiny",
        "version": "1.0.0",
        "description": "Opens the mouth by loudness; for tests.",
        "sample_rate_hz": SAMPLE_RATE,
        "hop_samples": HOP_SAMPLES,
        "bands": BANDS,
        "floor": FLOOR,
        "row_s": 0.02,
        "delays_s": [0.08],
        "lookahead_s": 0.08,
        "controls": list(MOUTH),
        "visemes": list(VISEMES),
        "phones": list(PHONES),
        "phone_shares": [1 / len(PHONES)] * len(PHONES),
        "phone_s": dict.fromkeys(PHONES, 0.07),
        "states": [
            {"input": "history", "output": "history_next", "shape": [1, HISTORY_HOPS, BANDS]}
        ],
        "thresholds": {"press": 0.5, "fv": 0.5},
    }


WINDOW = 1_600


def window_model() -> onnx.ModelProto:
    """Three ARKit weights from the mean loudness of 100 ms of sound."""
    weights = np.array([[4.0, 0.5, 0.0]], np.float32)
    nodes = [
        helper.make_node("Abs", ["audio"], ["levels"]),
        helper.make_node("ReduceMean", ["levels"], ["level"], axes=[1], keepdims=1),
        helper.make_node("MatMul", ["level", "weights"], ["shapes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "window",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["rows", WINDOW])],
        [helper.make_tensor_value_info("shapes", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    model.producer_name = "make_tiny_model"
    onnx.checker.check_model(model)
    return model


def window_card() -> dict[str, Any]:
    """The card of window_model(): the shortest that will do."""
    return {
        "kind": "windowed",
        "name": "window",
        "sample_rate_hz": SAMPLE_RATE,
        "input": {"name": "audio", "samples": WINDOW, "at_s": 0.06},
        "output": {"name": "shapes", "labels": ["jawOpen", "mouthPucker", "browInnerUp"]},
    }


if __name__ == "__main__":
    made = ((PATH, tiny_model(), tiny_card()),)
    made += ((PATH.with_name("window.onnx"), window_model(), window_card()),)
    for path, model, fields in made:
        path.write_bytes(model.SerializeToString())
        card = json.dumps(fields, indent=2) + "\n"
        path.with_name(path.name + ".json").write_text(card, encoding="utf-8")
