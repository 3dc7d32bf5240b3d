"""Who did what stands in the audit, whichever command did it, without text and without the caller's ids."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from aftercall.ledger import audit
from aftercall.os_user import current_user
from tests.fixtures.command import Answer
from tests.fixtures.workers import write_source
from tests.integration.test_registry import make_adapter, promote
from training.registry import registry


def test_submit_export_and_purge_are_recorded_with_user_and_counts(
    aftercall: Callable[..., Answer], tmp_path: Path
) -> None:
    write_source(tmp_path / "night.csv", ["zebra-1", "zebra-2"], lambda name: f"Customer: {name}\nAgent: yes\n")
    assert aftercall("submit", "night.csv").exit_code in (0, 6)
    assert aftercall("export", "1", "--out", "out.csv").exit_code == 0
    assert aftercall("purge", "1", "--yes").exit_code == 0

    lines = aftercall("audit").output.splitlines()
    assert [line.split()[3] for line in lines] == ["purge", "export", "submit"]
    assert all(current_user() in line and "submission 1" in line for line in lines)
    assert "rows 2" in lines[1]
    assert "zebra" not in "".join(lines)


def test_promotions_and_rollbacks_are_recorded(database: Engine, tmp_path: Path) -> None:
    digest = registry.register(database, make_adapter(tmp_path, 1)).digest
    promote(database, digest)
    registry.rollback(database, "tiny")
    newest, oldest = audit.entries(database, 10)
    assert (oldest.entry.action, oldest.entry.details["adapter"]) == (audit.Action.PROMOTE, digest)
    assert newest.entry.action == audit.Action.ROLLBACK
