"""ONNX Runtime, told to send no reports: its wheels for Linux know an address of their maker's."""

import json
import os
from pathlib import Path
from typing import Any

from avatar.errors import ModelError

# Read by ONNX Runtime when it is imported; set before, by whomever, it stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

__all__ = ["ORT_ERRORS", "open_session", "ort", "read_card"]

ORT_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
"""What ONNX Runtime raises; its classes have no common one of their own."""


def read_card(path: Path) -> Any:
    """Return the JSON of a model's card.

    Raises:
        ModelError: the file cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{path}: is not JSON: {error}") from error


def open_session(path: Path) -> ort.InferenceSession:
    """Return a network, ready to run on the thread that calls it.

    Raises:
        ModelError: the file is no network that ONNX Runtime can run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise ModelError(f"{path}: is not a usable ONNX model: {error}") from error
