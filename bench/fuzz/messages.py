"""Messages in Redis: each is a chunk of well-typed jobs or refused with a sentence, and quotes no conversation."""

import base64
import json
from pathlib import Path
from random import Random
from typing import Any

from aftercall.envelope import build_envelope, read_envelope
from aftercall.message import MAX_CHUNK_JOBS, Chunk, ChunkJob, is_job_id
from aftercall.queue_erasure import read_delivered, read_job_ids
from aftercall.waiting import read_ids
from bench.fuzz.harness import Findings, Target
from bench.fuzz.ugly import mutate
from tests.fixtures.bad_messages import BAD_MESSAGES, ODD_HEADERS, encode, good_message

_SECRET = "zebracrossing"  # noqa: S105 - a customer's word
_CHUNK = Chunk(tuple(ChunkJob(number, f"user: {_SECRET} {number}\nagent: hello\n") for number in (1, 2, 7_000_000_000)))
_GOOD = build_envelope(_CHUNK, "q")
#: The bomb takes half a gigabyte to build.
_BAD = {name: make for name, make in (BAD_MESSAGES | ODD_HEADERS).items() if name != "a bomb"}


def _make(rng: Random) -> tuple[bytes, dict[str, Any]]:
    told = {"key": rng.choice(("", "", "0123456789abcdef0123456789abcdef"))}
    match rng.randrange(4):
        case 0:
            return mutate(rng, _GOOD), told
        case 1:
            return mutate(rng, encode(rng.choice(list(_BAD.values()))(good_message("q")))), told
        case 2:
            # Into the body, which is in base64.
            message = json.loads(_GOOD)
            body = mutate(rng, base64.b64decode(message["body"]))
            return json.dumps(message | {"body": base64.b64encode(body).decode()}).encode(), told
        case _:
            return mutate(rng, json.dumps([json.loads(_GOOD), "", "q"]).encode()), told


def _take(folder: Path, data: bytes, told: dict[str, Any], findings: Findings) -> None:
    for ids in (read_ids(data), read_ids(b":" + data[:400]), read_job_ids(data, told["key"]) or []):
        assert all(map(is_job_id, ids)), "an id that no database takes"
    read_delivered(data)
    chunk = read_envelope(data, told["key"])
    assert len(chunk.jobs) <= MAX_CHUNK_JOBS
    assert all(is_job_id(job.job_id) and isinstance(job.text, str) for job in chunk.jobs), "a job of another type"
    again = build_envelope(chunk, "q")
    assert told["key"] or read_envelope(again) == chunk, "built anew, it is the same"
    findings.num_rows += len(chunk.jobs)


MESSAGES = Target("messages", _make, _take)
