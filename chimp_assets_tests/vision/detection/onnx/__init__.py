"""Detectors that come as an ONNX file."""
