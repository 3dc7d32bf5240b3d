"""The memory of the engine: the KV cache and its pages, free memory, running out of it."""
