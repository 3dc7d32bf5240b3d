"""The fuzzer: ugly inputs for everything that takes what others wrote."""
