"""A trained run as a file for elsewhere: torch, ONNX, or a script that stands alone."""
