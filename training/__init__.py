"""Builds avatar/assets/lipsync.onnx from nothing: corpus, features, network, export, scores."""
