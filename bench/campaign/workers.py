"""Several workers on one machine without GPUs: scripted engines in real worker processes under the real supervisor.

Run as `python -m bench.campaign.workers --num-workers 3 --calls FILE --call-s 0.2`. Restarts come sooner than in a
night, where a dead worker loads a model anyhow, and never end: a campaign kills more often than any policy foresees.
"""

import argparse
import sys

from worker.gpus import Gpu
from worker.supervisor import RestartPolicy, Supervisor

POLICIES = {
    "soon": RestartPolicy(first_delay_s=0.1, max_delay_s=0.5, max_unexpected=1_000),
    "default": RestartPolicy(),
}


def main() -> None:
    """Supervise until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-workers", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", required=True)
    parser.add_argument("--call-s", default="0")
    parser.add_argument("--restarts", choices=list(POLICIES), default="soon")
    options = parser.parse_args()

    def command_for(gpu: int | None, name: str) -> list[str]:
        command = [sys.executable, "-P", "-m", "tests.fixtures.scripted_worker", "--name", name]
        return [*command, "--threads", str(options.threads), "--calls", options.calls, "--call-s", options.call_s]

    places = [Gpu(number, "") for number in range(options.num_workers)]
    sys.exit(Supervisor(places, command_for, POLICIES[options.restarts]).run())


if __name__ == "__main__":
    main()
