"""Loads models onto their device: base model files, GGUF conversion, precision, quantization."""
