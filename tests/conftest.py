"""Fixtures for all tests."""

pytest_plugins = [f"tests.fixtures.{name}" for name in ("services", "model", "workers", "breakable", "command")]
