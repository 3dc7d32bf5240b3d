"""Training: a recipe and examples in, LoRA weights out."""
