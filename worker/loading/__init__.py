"""From files to a model on its device: base models, GGUF conversion, precision, quantization."""
