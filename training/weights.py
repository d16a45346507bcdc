"""The weights in a model's file: kept there in half precision, and read back to train on from them.

A network may be larger than the model that it begins with: what is new says nothing at first, so
that both do the same.
"""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from training.network import LipSyncNet

HALVED_FROM = 1024
"""Smaller tensors stay as they are."""


def halve(model: onnx.ModelProto) -> None:
    """Keep large weights in half precision; they are made float32 when the file is loaded."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= HALVED_FROM:
            name, values = tensor.name, numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


class WeightsError(Exception):
    """A model is not there, or does not fit the network; the message says which and why."""


class _File:
    """Names and values of an exported model."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(path).graph
        self.tensors = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.nodes = {node.name: node for node in graph.node}
        self._cast = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Cast"}

    def value(self, name: str) -> npt.NDArray[np.float32]:
        return np.asarray(self.tensors[self._cast.get(name, name)], np.float32)


def exported_weights(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of the network in a model's file, named as those of LipSyncNet.

    Raises:
        WeightsError: it is not there, or was not written by training.export.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    file = _File(path)
    weights = {}
    for name in file.tensors:
        if name.startswith("network."):
            name = name.removesuffix(".half")
            weights[name.removeprefix("network.")] = file.value(name)
    for name, node in file.nodes.items():
        if layer := re.fullmatch(r"/network/(.+)/MatMul", name):  # up to version 3.0
            weights[f"{layer[1]}.weight"] = file.value(node.input[1]).T
        if layer := re.fullmatch(r".*/(\w+)/GRU", name):
            weights |= _gru(file, node, layer[1])
    if "mouth.weight" not in weights:
        raise WeightsError(f"{path}: was not written by training.export")
    # Up to version 2.2 there were convolutions: (outputs, inputs, taps).
    weights = {
        name: value.transpose(0, 2, 1).reshape(len(value), -1) if value.ndim == 3 else value
        for name, value in weights.items()
    }
    return {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}


def _gru(file: _File, node: onnx.NodeProto, name: str) -> dict[str, npt.NDArray[np.float32]]:
    """ONNX has the gates in the order update, reset, new; PyTorch has reset before update."""
    given, own, biases = (file.value(node.input[i])[0] for i in (1, 2, 3))

    def ordered(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        update, reset, new = np.split(values, 3)
        return np.concatenate((reset, update, new))

    given_bias, own_bias = np.split(biases, 2)
    return {
        f"{name}.weight_ih_l0": ordered(given),
        f"{name}.weight_hh_l0": ordered(own),
        f"{name}.bias_ih_l0": ordered(given_bias),
        f"{name}.bias_hh_l0": ordered(own_bias),
    }


def begin_with(network: LipSyncNet, weights: dict[str, Tensor]) -> None:
    """Set a network to weights of one of its size, or of a smaller one whose parts lead its own.

    Raises:
        WeightsError: a part of the weights is unknown to the network, or larger than there.
    """
    own = network.state_dict()
    with torch.no_grad():
        for name, old in weights.items():
            room = own[name].shape if name in own else ()
            if len(room) != old.ndim or any(a > b for a, b in zip(old.shape, room, strict=True)):
                raise WeightsError(f"the network has no {name} of {tuple(old.shape)} or more")
            new = own[name]
            if name.endswith(".weight") and new.ndim == 2:
                new[: old.shape[0], old.shape[1] :] = 0.0  # what the added inputs count
            new[tuple(slice(size) for size in old.shape)] = old
        for number, norm in enumerate(network.norms):
            if f"norms.{number}.weight" not in weights:
                norm.weight.zero_()
                norm.bias.zero_()


def average_with(network: LipSyncNet, weights: dict[str, Tensor]) -> None:
    """Set a network to the mean of its weights and those of another of the same size.

    Raises:
        WeightsError: the other one's size differs.
    """
    own = network.state_dict()
    if {name: one.shape for name, one in own.items()} != {
        name: one.shape for name, one in weights.items()
    }:
        raise WeightsError("only models of the same size have a mean")
    with torch.no_grad():
        for name, other in weights.items():
            own[name].lerp_(other, 0.5)
