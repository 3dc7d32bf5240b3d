"""Fixtures for all tests."""

import os
import signal
from pathlib import Path

import pytest

pytest_plugins = [
    f"tests.fixtures.{name}" for name in ("services", "model", "workers", "breakable", "command", "web", "browser")
]

# rich keeps for good the width that is set when its console is made, at the first import; tests set their own.
os.environ.pop("COLUMNS", None)
# A shell has what it runs in the background ignore Ctrl-C, and children inherit that; the commands under test hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Modules that take long: they start workers, load models, kill processes and wait. `make test` leaves them out, so
#: that it stays short; `make test-all` and the nightly workflow run them.
THOROUGH = frozenset({
    "test_campaign", "test_cancel", "test_clock", "test_connection_lost", "test_current_folder", "test_database",
    "test_dead_letters", "test_disk_full", "test_engine_parity", "test_erase", "test_evaluate", "test_examples",
    "test_hot_swap", "test_leases", "test_least_rights", "test_ledger_machine", "test_logs", "test_messages",
    "test_mixed_adapters", "test_monitors", "test_night", "test_pause", "test_poison", "test_preference",
    "test_priority", "test_processes", "test_purge", "test_purge_command", "test_purge_race", "test_quarter",
    "test_query_plans", "test_redis", "test_refresh", "test_review_page", "test_run", "test_scheduled_refresh",
    "test_security", "test_submit", "test_submit_killed", "test_swallowed", "test_swap", "test_tls",
    "test_train_command", "test_upgrade", "test_versions", "test_web", "test_web_access", "test_web_browser",
    "test_webhook", "test_whole_path", "test_worker_killed", "test_worker_stopped",
})  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the modules that take long."""
    for item in items:
        is_quick_folder = "unit" in Path(item.path).parts
        if not is_quick_folder and item.path.stem in THOROUGH:
            item.add_marker(pytest.mark.thorough)
