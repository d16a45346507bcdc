"""ONNX Runtime, told to send no reports: its wheels for Linux know an address of their maker's."""

import os

# Read by ONNX Runtime when it is imported; set before, by whomever, it stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

__all__ = ["ort", "ort_errors"]
