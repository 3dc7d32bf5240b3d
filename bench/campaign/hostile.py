"""What attackers and accidents do: bad messages of every sort, swallowed connections, twins, and code in the folder."""

import csv
import os
import random
import subprocess
import sys
import time
from functools import cache

from aftercall.errors import AlreadyRunningError
from aftercall.message import queue_name
from aftercall.settings import Settings
from bench.campaign.command import start
from bench.campaign.faults import NONE_HELD, Kind, Part, kill_worker
from bench.campaign.site import ROOT, Site
from tests.fixtures.bad_messages import BAD_MESSAGES, ODD_HEADERS, encode, good_message
from tests.fixtures.workers import write_source

#: Conversations of a run that needs no model, as there is nothing in them to summarize.
NUM_SHORT = 40


def send_bad_messages(site: Site, draw: random.Random) -> frozenset[int]:
    """Messages that no worker can read, and good ones with headers that Celery fails on."""
    queue = queue_name(site.settings.queue)
    for name in draw.sample(sorted(BAD_MESSAGES | ODD_HEADERS), 8):
        site.redis.client.lpush(queue, _bad_message(name, queue))
    return NONE_HELD


@cache
def _bad_message(name: str, queue: str) -> bytes:
    return encode((BAD_MESSAGES | ODD_HEADERS)[name](good_message(queue)))


def freeze_redis(site: Site, draw: random.Random) -> frozenset[int]:
    """Connections are taken and nothing is answered, for up to longer than a client waits."""
    site.redis.freeze()
    time.sleep(draw.uniform(1.0, 12.0))
    site.redis.thaw()
    return NONE_HELD


def swallow_postgres(site: Site, draw: random.Random) -> frozenset[int]:
    """A proxy takes what workers send to PostgreSQL and forwards nothing; what it took is gone."""
    assert site.proxy is not None
    site.proxy.swallow()
    time.sleep(draw.uniform(1.0, 6.0))
    site.proxy.resume()
    return NONE_HELD


def run_twin_supervisor(site: Site, draw: random.Random) -> frozenset[int]:
    """Another supervisor on the same machine, with workers of the same queue, for a while."""
    twin = site.start_supervisor()
    time.sleep(draw.uniform(0.5, 4.0))
    twin.terminate()
    try:
        twin.wait(60)
    except subprocess.TimeoutExpired:
        site.witnessed.complaints.append("a second supervisor did not end on SIGTERM")
        twin.kill()
    return NONE_HELD


def run_twins(site: Site, draw: random.Random) -> frozenset[int]:
    """`aftercall run` twice at once in one folder: one works, the other says so or comes after it."""
    folder = site.folder / f"twins-{draw.randrange(10**9)}"
    folder.mkdir()
    source = write_source(folder / "night.csv", [f"SHORT-{number}" for number in range(NUM_SHORT)], _short_text)
    environment = Settings(data_dir=folder / "data").to_environment()
    arguments = ("run", str(source), "--out", str(folder / "night.summaries.csv"))
    commands = []
    for number in range(2):
        commands.append(start(arguments, environment, folder / f"{number}.stderr"))
        time.sleep(draw.uniform(0.0, 0.5))
    codes = {site.finish_command(command)[0] for command in commands}
    if not {0} <= codes <= {0, AlreadyRunningError.exit_code}:
        site.witnessed.complaints.append(f"twin runs ended with exit codes {codes}")
    with (folder / "night.summaries.csv").open(newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    if ids != [f"SHORT-{number}" for number in range(NUM_SHORT)]:
        site.witnessed.complaints.append(f"twin runs wrote {len(ids)} of {NUM_SHORT} rows")
    return NONE_HELD


def _short_text(external_id: str) -> str:
    return f"Customer: {external_id}\nAgent: yes\n"


def submit_among_code(site: Site, draw: random.Random) -> frozenset[int]:
    """A submit in a folder of files that are named like modules."""
    export = draw.choice(site.begun)
    command = [sys.executable, "-P", "-m", "aftercall", "submit", str(export.path)]
    environment = {**os.environ, **site.settings.to_environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=site.traps, env=environment, capture_output=True, text=True, timeout=120)
    site.note_end("submit", done.returncode, done.stderr)
    site.run_until_done("submit", str(export.path))
    return NONE_HELD


def restart_among_code(site: Site, draw: random.Random) -> frozenset[int]:
    """A worker is killed and started again in a folder of files named like modules, with one more each time."""
    site.set_trap(draw.choice(sorted(sys.stdlib_module_names)))
    return kill_worker(site, draw)


HOSTILE = (
    Kind("messages of every bad sort", Part.REDIS, send_bad_messages),
    Kind("Redis: connections swallowed", Part.REDIS, freeze_redis),
    Kind("PostgreSQL: connections swallowed", Part.DATABASE, swallow_postgres, "postgresql"),
    Kind("supervisor: a twin on the machine", Part.WORKER, run_twin_supervisor),
    Kind("run: twins in one folder", Part.PEOPLE, run_twins),
    Kind("submit: code in the folder", Part.PEOPLE, submit_among_code),
    Kind("worker: restarted among code in the folder", Part.WORKER, restart_among_code),
)
