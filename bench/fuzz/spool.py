"""Spool files: what is sound in one is written, the rest is set aside, and no file is read twice for nothing."""

import json
import math
from dataclasses import asdict, astuple
from pathlib import Path
from random import Random
from typing import Any

from aftercall.ledger.work import SummaryRecord
from aftercall.message import is_job_id
from bench.fuzz.harness import Findings, Target
from bench.fuzz.ugly import mutate
from worker.jobs.spool import Finished, Spool


def _finished(number: int) -> Finished:
    numbers = (100, 20, "stop", 1.0, 0.5)
    return Finished(
        f"key-{number}",
        SummaryRecord(number, f"Summary {number}.", "b", "a", "n", "f", "1", "2+r1s", "{}", *numbers, "w"),
    )


_GOOD = json.dumps([asdict(_finished(number)) for number in (1, 2, 3)]).encode()


def _make(rng: Random) -> tuple[bytes, dict[str, Any]]:
    return mutate(rng, _GOOD), {}


def _take(folder: Path, data: bytes, told: dict[str, Any], findings: Findings) -> None:
    path = folder / "a.json"
    path.write_bytes(data)
    spool = Spool(folder)
    for name, finished in spool.files():
        for each in finished:
            findings.num_rows += 1
            assert is_job_id(each.summary.job_id), "an id that no database takes"
            values = astuple(each.summary)
            assert all(math.isfinite(value) for value in values if isinstance(value, float)), (
                "a number that is not finite"
            )
            texts = [each.job_key, *(value for value in values if isinstance(value, str))]
            assert not any("\0" in text for text in texts), "no database takes NUL"
            "".join(texts).encode()
        assert finished, "a file without summaries is not given"
        spool.drop(name)
    assert list(spool.files()) == [], "nothing is read again"
    findings.num_rejected += sum(1 for _ in folder.glob("*.refused"))


SPOOL = Target("spool", _make, _take)
