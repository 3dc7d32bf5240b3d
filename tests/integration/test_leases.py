"""Leases of more jobs than one statement may name, as 256 threads with chunks of 512 hold them."""

from sqlalchemy import Engine, func, select

from aftercall.database import now, reading
from aftercall.ledger import work
from aftercall.models import Job
from tests.fixtures.workers import wait_until
from tests.integration.test_ledger import claim_all, submit
from worker.upkeep.leases import LeaseKeeper

#: Those of the ledger, and so many others that no statement takes them all.
HELD = range(-140_000, 3)


def test_every_lease_is_kept_however_many_are_held(database: Engine) -> None:
    submit(database, "a", "b")
    assert claim_all(database, work.Lease("worker-1", ttl_s=600.0)) == [1, 2]
    keeper = LeaseKeeper(database, work.Lease("worker-1", ttl_s=2.0))

    with keeper.holding(HELD):
        wait_until(lambda: longest_lease_s(database) < 100, "both leases set to those of the keeper")


def longest_lease_s(database: Engine) -> float:
    with reading(database) as connection:
        return connection.execute(select(func.max(Job.visible_at) - now())).scalar_one()
