"""Throws ugly files at the source readers for a stated time, and says what they did not take well.

python -m bench.fuzz --seconds 300 --seed 1

Each file is to be read or refused with a sentence, in time and in bounded memory; each of its rows is to come out as a
conversation or rejected with its reason; and whatever comes out, cleaned, is to be something that a database takes. A
file that breaks one of these is made smaller, as long as it breaks the same, and kept.
"""

import csv
import hashlib
import io
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click

from aftercall.conversation import parse_turns
from aftercall.errors import SourceError
from bench.ugly import make_ugly
from producer.clean import clean_conversation
from producer.source import Rejected, Source, SourceOptions, SourceRow, open_source

#: Of the processor, per file of at most 1 MiB; the slowest sound one takes a tenth of it.
MAX_SECONDS = 5.0
#: For making a file smaller that broke something.
MAX_SHRINK_S = 5.0
#: What the process may take beside what it has after its imports.
MAX_EXTRA_BYTES = 512 << 20
#: What the caller may tell of a source, right or wrong.
OPTIONS: tuple[dict[str, Any], ...] = (
    *({},) * 8,
    {"max_conversation_chars": 20},
    {"delimiter": ","},
    {"delimiter": "tab"},
    {"encoding": "utf-8"},
    {"encoding": "cp1252"},
    {"encoding": "utf-16-le"},
    {"mapping": {"id": "id", "transcript": "transcript"}},
)


@dataclass
class Findings:
    """What a run came to."""

    num_files: int = 0
    num_refused: int = 0
    num_rows: int = 0
    num_rejected: int = 0
    slowest_s: float = 0.0
    #: Where and how it broke, to the smallest file that does so and what is told of it.
    broken: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)


def fuzz(rng: Random, is_over: Callable[[Findings], bool]) -> Findings:
    """Try files until it is over."""
    findings = Findings()
    with TemporaryDirectory(prefix="aftercall-fuzz-") as folder:
        path = Path(folder) / "export.csv"
        while not is_over(findings):
            data, told = make_ugly(rng), rng.choice(OPTIONS)
            began = time.process_time()
            broken = breakage(path, data, told, findings)
            findings.num_files += 1
            findings.slowest_s = max(findings.slowest_s, time.process_time() - began)
            if broken is not None and broken not in findings.broken:
                findings.broken[broken] = (_shrink(path, data, told, broken), told)
    return findings


def breakage(path: Path, data: bytes, told: dict[str, Any], findings: Findings) -> str | None:
    """How reading this file goes wrong; None if it does not."""
    path.write_bytes(data)
    try:
        with _time_limit(MAX_SECONDS), open_source(str(path), SourceOptions(**told)) as source:
            _check(source, findings)
    except SourceError as error:
        findings.num_refused += 1
        return None if _is_sentence(str(error)) else f"no sentence: {str(error)[:40]!r}"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {str(error)[:80]}"
    return None


def _check(source: Source, findings: Findings) -> None:
    outcomes = list(source)
    rows = [outcome for outcome in outcomes if isinstance(outcome, SourceRow)]
    rejected = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    findings.num_rows += len(rows)
    findings.num_rejected += len(rejected)
    assert outcomes, "a source that was opened has rows"
    assert outcomes == list(source), "read again, it is the same"
    _check_account(source, rows, rejected)
    for row in rows:
        _check_row(row)
    for each in rejected:
        assert each.line >= 1 and _is_sentence(each.reason), f"no sentence: {each.reason!r}"
        csv.writer(io.TextIOWrapper(io.BytesIO(), "utf-8")).writerow([each.line, each.reason, *each.row])


def _check_account(source: Source, rows: list[SourceRow], rejected: list[Rejected]) -> None:
    """Every record is in a conversation, rejected, or counted as dropped; a tweet may open several conversations."""
    records = [record for part in source._parts for record in part.records.records()]
    num_records = len(records)
    num_read = sum(1 if source.shape == "conversations" else len(row.conversation.turns) for row in rows)
    num_dropped = source.account.dropped.total() if source.shape == "turns" else 0
    account = f"{num_records} records, {num_read} read, {len(rejected)} rejected, {num_dropped} dropped"
    assert num_read + len(rejected) + num_dropped >= num_records, account
    assert source.shape == "tweets" or num_read + len(rejected) <= num_records, account


def _check_row(row: SourceRow) -> None:
    cleaned = clean_conversation(row.conversation)
    assert clean_conversation(cleaned) == cleaned, "cleaned again, it is the same"
    assert parse_turns(cleaned.text) == cleaned.turns, "a line is a turn"
    stored = f"{row.conversation.external_id}{cleaned.text}".encode()
    assert b"\0" not in stored, "no database takes NUL"
    assert row.line >= 1


def _is_sentence(text: str) -> bool:
    """Printable, not endless, and something."""
    return 0 < len(text) < 4_000 and text.replace("\n", "").isprintable()


def _shrink(path: Path, data: bytes, told: dict[str, Any], broken: str) -> bytes:
    """The file without what can be left out of it, as far as that is found out in time."""
    deadline = time.monotonic() + MAX_SHRINK_S
    size = len(data) // 2
    while size:
        start = 0
        while start < len(data) and time.monotonic() < deadline:
            shorter = data[:start] + data[start + size :]
            if breakage(path, shorter, told, Findings()) == broken:
                data = shorter
            else:
                start += size
        size //= 2
    return data


@contextmanager
def _time_limit(max_s: float) -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise TimeoutError(f"not within {max_s:g} s")

    # Time of this process: on a busy machine the wall's clock would find fault with sound files.
    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, max_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def limit_memory() -> None:
    """From here on, a file that takes too much memory raises MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MAX_EXTRA_BYTES,) * 2)


@click.command()
@click.option("--seconds", type=float, default=300.0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder for files that broke something.")
def main(seconds: float, seed: int, keep: Path | None) -> None:
    """Fuzz for a stated time; exits with 1 if anything broke."""
    limit_memory()
    deadline = time.monotonic() + seconds
    found = fuzz(Random(seed), lambda findings: time.monotonic() >= deadline)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{found.num_files:,} files in {seconds:g} s, seed {seed}: {found.num_refused:,} refused; of the others "
        f"{found.num_rows:,} conversations and {found.num_rejected:,} rejected rows; "
        f"slowest file {found.slowest_s:.2f} s, at most {peak_mib} MiB; {len(found.broken)} ways to break"
    )
    for broken, (data, told) in found.broken.items():
        print(f"- {broken}\n  {told or ''} {data[:200]!r}{' …' * (len(data) > 200)} ({len(data)} bytes)")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{hashlib.sha256(data).hexdigest()[:16]}.csv").write_bytes(data)
    raise SystemExit(bool(found.broken))


if __name__ == "__main__":
    main()
