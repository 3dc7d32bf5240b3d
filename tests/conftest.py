"""Fixtures for all tests."""

import os
import signal

pytest_plugins = [
    f"tests.fixtures.{name}" for name in ("services", "model", "workers", "breakable", "command", "web", "browser")
]

# rich keeps for good the width that is set when its console is made, at the first import; tests set their own.
os.environ.pop("COLUMNS", None)
# A shell has what it runs in the background ignore Ctrl-C, and children inherit that; the commands under test hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)
