"""`python -P -m worker.health`: whether a worker of this machine is alive, for a container's health check.

A worker sends heartbeats from its start, before its model is loaded, so a long download does not count as unhealthy.
"""

import socket
import sys

from sqlalchemy.exc import DBAPIError

from aftercall.database import connect, explain
from aftercall.errors import AftercallError
from aftercall.ledger import workers
from aftercall.settings import load_settings


def main() -> int:
    """0 if a worker of this host has sent a recent heartbeat, else 1 with a sentence on stderr."""
    settings = load_settings()
    engine = connect(settings.ledger_url)
    try:
        alive = [each for each in workers.alive(engine) if not each.is_overdue]
    except DBAPIError as error:
        raise explain(engine, error) from None
    finally:
        engine.dispose()
    host = socket.gethostname()
    # A worker's name is `name/host/pid`.
    if any(each.worker.name.split("/")[1:2] == [host] for each in alive):
        return 0
    sys.stderr.write(f"no worker of {host} has sent a heartbeat in the last {2 * workers.HEARTBEAT_INTERVAL_S:g} s\n")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AftercallError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
