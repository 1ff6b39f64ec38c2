"""Any detection network that comes as an ONNX file: one decoding a file in `decodings`, and what all of them share."""
