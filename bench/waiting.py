"""How long it takes to read which jobs wait in a full queue, and how many bytes Redis sends for it.

python -m bench.waiting                      # 20,000 jobs of 10 KB in chunks of 32

Compares the ids in the messages' headers with reading every message whole, as before there was such a header.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import redis

from aftercall.broker import Broker
from aftercall.embedded import embedded_broker
from aftercall.envelope import read_envelope
from aftercall.message import ChunkJob, form_chunks
from aftercall.settings import Settings


def measure(client: redis.Redis, read: Callable[[], set[int]]) -> tuple[int, float, int]:
    """The number of ids, the seconds, and the bytes that the server sent."""
    sent = int(client.info("stats")["total_net_output_bytes"])
    began = time.perf_counter()
    found = read()
    seconds = time.perf_counter() - began
    return len(found), seconds, int(client.info("stats")["total_net_output_bytes"]) - sent


def read_whole(client: redis.Redis, queue: str) -> set[int]:
    """The ids from the bodies of all messages, fetched in one call."""
    return {job.job_id for raw in client.lrange(queue, 0, -1) for job in read_envelope(raw).jobs}


def main() -> None:
    """Fill a queue, and read its job ids in both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-jobs", type=int, default=20_000)
    parser.add_argument("--job-bytes", type=int, default=10_000)
    parser.add_argument("--chunk-size", type=int, default=32)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aftercall-bench-") as name, embedded_broker(Path(name)) as url:
        settings = Settings(redis_url=url)
        client = redis.Redis.from_url(url)
        with closing(Broker(settings)) as broker:
            jobs = (ChunkJob(number, "user: " + "x" * options.job_bytes) for number in range(1, options.num_jobs + 1))
            for chunk in form_chunks(jobs, options.chunk_size, 100 * options.job_bytes):
                broker.send([chunk])
            ways = {"whole messages": lambda: read_whole(client, settings.queue), "headers": broker.waiting_job_ids}
            for way, read in ways.items():
                num, seconds, num_bytes = measure(client, read)
                print(f"{way:>14}: {num:,} ids in {seconds:.2f} s, {num_bytes / 1e6:,.2f} MB sent")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
