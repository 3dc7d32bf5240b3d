"""LoRA adapters: their manifest, their matrices, and how they are written into a model."""
