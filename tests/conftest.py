"""Fixtures for all tests."""

import signal

pytest_plugins = [f"tests.fixtures.{name}" for name in ("services", "model", "workers", "breakable", "command")]

# A shell has what it runs in the background ignore Ctrl-C, and children inherit that; the commands under test hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
