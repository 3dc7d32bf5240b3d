"""The contract: what the parts agree on. Imports no torch and no part."""

__version__ = "0.1.0"
