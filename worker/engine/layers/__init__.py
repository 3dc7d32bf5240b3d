"""Faster layers for a model that is loaded: packed, 8-bit, fused or compiled."""
