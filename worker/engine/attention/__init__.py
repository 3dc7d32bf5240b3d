"""Attention over the paged KV cache: one module a backend, and the call that transformers' models make."""
