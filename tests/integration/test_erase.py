"""`aftercall erase`: one conversation is gone from everything that aftercall wrote, and the others are not."""

import base64
import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, make_url

from aftercall import schema
from aftercall.broker import Broker
from aftercall.embedded import embedded_broker
from aftercall.ledger import account, audit, erasure, intake, invariants, work
from aftercall.ledger.intake import NewJob, make_job_key
from aftercall.ledger.work import Lease
from aftercall.settings import Settings
from aftercall.sweep import Sweeper
from aftercall.trained_on import TRAINED_ON_FILE, digest_text
from tests.fixtures.workers import wait_until
from tests.integration.test_ledger import summary

#: In no other text, so that bytes of files can be searched for them.
WORDS = "zebracrossing"
SUMMARY = "zebrasummary"
OTHER = "giraffe"


def add(engine: Engine, digest: str, texts: dict[str, str]) -> int:
    """A submission of conversations by their ids."""
    submission_id = intake.open_submission(engine, f"{digest}.csv", digest)
    jobs = [
        NewJob(external_id, position, text, make_job_key(text, "2+r1s"), "2+r1s", is_sufficient=True)
        for position, (external_id, text) in enumerate(texts.items())
    ]
    intake.add_jobs(engine, submission_id, jobs)
    intake.close_submission(engine, submission_id, 0)
    return submission_id


def erase(settings: Settings, *args: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, receipt, and what was said on stderr."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "aftercall", "erase", *args],
        env={**os.environ, **settings.to_environment()}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout.startswith("{") else {}, done.stderr


def finish(engine: Engine, job_ids: Sequence[int], text: str) -> None:
    work.claim(engine, job_ids, Lease("w", 60.0), 3, True)
    work.complete(engine, [summary(job_id, text) for job_id in job_ids])


def places_of(engine: Engine, external_id: str) -> list[erasure.Found]:
    return erasure.find(engine, external_id)


def test_a_conversation_is_erased_from_ledger_queue_and_append_only_file(
    database: Engine, settings: Settings, broker: Broker
) -> None:
    first = add(database, "mon", {"C-1": f"user: {WORDS}\n", "C-2": f"user: {OTHER}\n"})
    Sweeper(database, broker, settings).top_up()
    assert broker.waiting_job_ids() == {place.job_id for name in ("C-1", "C-2") for place in places_of(database, name)}
    client = redis.Redis.from_url(settings.redis_url)
    wait_until(lambda: _is_written(client), "the append-only file is written")
    (kept,) = places_of(database, "C-2")

    code, receipt, _ = erase(settings, "--id", "C-1", "--yes")

    assert code == 0
    assert places_of(database, "C-1") == []
    assert account.account(database, first).submitted == 1
    assert invariants.violations(database) == []
    assert receipt["queue"]["messages_removed"] == 1
    assert receipt["queue"]["append_only_file"] == "rewritten"
    # The other conversation of the message is sent again, alone.
    Sweeper(database, broker, settings).top_up()
    assert broker.waiting_job_ids() == {kept.job_id}
    assert not _is_written(client)


def test_a_conversation_is_erased_from_the_append_only_file_of_the_embedded_server(tmp_path: Path) -> None:
    # As an interrupted `aftercall run` leaves it: its server is stopped, its messages are in the file.
    settings = Settings(data_dir=tmp_path / "data")
    with schema.open_ledger(settings) as database, embedded_broker(settings.data_dir) as url:
        add(database, "mon", {"C-1": f"user: {WORDS}\n", "C-2": f"user: {OTHER}\n"})
        with closing(Broker(settings.model_copy(update={"redis_url": url}))) as broker:
            Sweeper(database, broker, settings).top_up()
    folder = settings.data_dir / "valkey"
    assert _is_in(folder, WORDS)

    code, receipt, said = erase(settings, "--id", "C-1", "--yes")

    assert (code, receipt["queue"]["append_only_file"]) == (0, "rewritten"), said
    assert receipt["queue"]["messages_removed"] == 1
    assert not _is_in(folder, WORDS)
    with schema.open_ledger(settings) as database:
        assert (places_of(database, "C-1"), len(places_of(database, "C-2"))) == ([], 1)


def _is_written(client: "redis.Redis") -> bool:
    """Whether the words are in the server's append-only file."""
    return _is_in(Path(str(client.config_get("dir")["dir"])), WORDS)


def _is_in(folder: Path, words: str) -> bool:
    """Whether an append-only file under the folder holds the words; messages are in base64 there."""
    written = b"".join(path.read_bytes() for path in folder.rglob("*.aof"))
    # Three ways, by how many characters stand before them; what their neighbours are part of is left out.
    forms = (base64.b64encode(b" " * offset + words.encode())[4:-4] for offset in range(3))
    return any(form in written for form in forms)


def test_its_words_are_no_longer_in_the_database_file(database: Engine, settings: Settings) -> None:
    if database.dialect.name != "sqlite":
        pytest.skip("PostgreSQL keeps deleted rows until it vacuums; docs/security.md says so")
    add(database, "mon", {"C-1": f"user: {WORDS}\n", "C-2": f"user: {OTHER}\n"})
    (place,) = places_of(database, "C-1")
    finish(database, [place.job_id], SUMMARY)
    # This process keeps the database open, as a worker does: the log is then not emptied by the last one that closes.
    path = Path(make_url(settings.ledger_url).database or "")
    assert _holds(path, WORDS) and _holds(path, SUMMARY)

    code, receipt, _ = erase(settings, "--id", "C-1", "--yes")

    assert (code, receipt["ledger"]["is_log_empty"]) == (0, True)
    assert not _holds(path, WORDS) and not _holds(path, SUMMARY)
    assert _holds(path, OTHER)


def _holds(path: Path, word: str) -> bool:
    return any(word.encode() in each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


def test_files_under_the_data_folder_and_named_ones_lose_its_rows_alone(
    database: Engine, settings: Settings, tmp_path: Path
) -> None:
    add(database, "mon", {"C-1": f"user: {WORDS}\n", "C-2": f"user: {OTHER}\n"})
    (place,), (other,) = places_of(database, "C-1"), places_of(database, "C-2")
    spool = settings.spool_dir / "a.json"
    spool.parent.mkdir(parents=True)
    spool.write_text(json.dumps([
        {"job_key": each.job_key, "summary": {"job_id": each.job_id, "text": text}}
        for each, text in ((place, SUMMARY), (other, OTHER))
    ]))  # fmt: skip
    review = settings.data_dir / "review.csv"
    training = tmp_path / "training.csv"
    for path, columns, row in (
        (
            review,
            ["job", "id", "conversation", "summary", "corrected"],
            [str(place.job_id), "C-1", place.text, "s", "c"],
        ),
        (training, ["id", "conversation", "summary"], ["x", place.text, "s"]),
    ):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, row, [OTHER] * len(columns)])
    results = tmp_path / "night.summaries.csv"
    results.write_text(f"id,state,summary\nC-1,done,{SUMMARY}\nC-2,done,{OTHER}\n")
    judged = settings.judgements_dir / "evaluation.json"
    judged.parent.mkdir()
    judged.write_text(json.dumps({"verdicts": [{"conversation_id": "C-1", "summary": SUMMARY, "words": 7}]}))

    code, receipt, _ = erase(settings, "--id", "C-1", "--file", str(training), "--file", str(results), "--yes")

    assert code == 0
    assert {Path(each["path"]).name: each["rows"] for each in receipt["files"]} == dict.fromkeys(
        ("a.json", "review.csv", "training.csv", "night.summaries.csv", "evaluation.json"), 1
    )
    for path in (spool, review, training, results):
        content = path.read_text()
        assert OTHER in content and WORDS not in content and SUMMARY not in content and "C-1" not in content
    (verdict,) = json.loads(judged.read_text())["verdicts"]
    assert (verdict["summary"], verdict["words"]) == ("", 7)


def test_the_receipt_holds_digests_and_no_words(database: Engine, settings: Settings, tmp_path: Path) -> None:
    add(database, "mon", {"kate@example.com": f"user: {WORDS}\n"})
    folder = settings.adapters_dir / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / TRAINED_ON_FILE).write_text(json.dumps([digest_text(f"user: {WORDS}\n")]))
    (settings.adapters_dir / "fedcba9876543210").mkdir()
    out = tmp_path / "receipt.json"

    code, _, _ = erase(settings, "--id", "kate@example.com", "--yes", "--out", str(out))

    written = out.read_text()
    receipt = json.loads(written)
    assert code == 0
    assert WORDS not in written and "kate" not in written
    assert receipt["external_id_sha256"] == hashlib.sha256(b"kate@example.com").hexdigest()
    (conversation,) = receipt["ledger"]["conversations"]
    assert conversation["text_sha256"] == hashlib.sha256(f"user: {WORDS}\n".encode()).hexdigest()
    assert receipt["adapters_trained_on_it"] == ["0123456789abcdef"]


def test_one_submission_alone_and_a_text_that_another_id_holds_stay(database: Engine, settings: Settings) -> None:
    first = add(database, "mon", {"C-1": f"user: {WORDS}\n"})
    second = add(database, "tue", {"C-1": f"user: {WORDS}\n", "C-9": f"user: {OTHER}\n"})

    code, receipt, _ = erase(settings, "--id", "C-1", "--submission", str(first), "--yes")

    assert code == 0
    assert [place.submission_id for place in places_of(database, "C-1")] == [second]
    (conversation,) = receipt["ledger"]["conversations"]
    assert (conversation["is_text_kept"], conversation["held_by_others"]) == (True, 1)
    assert erase(settings, "--id", "C-9", "--submission", str(first), "--yes")[0] == 11
    assert len(places_of(database, "C-9")) == 1


def test_a_worker_that_holds_it_finds_no_row_to_write_to(database: Engine, settings: Settings) -> None:
    add(database, "mon", {"C-1": f"user: {WORDS}\n"})
    (place,) = places_of(database, "C-1")
    assert work.claim(database, [place.job_id], Lease("w", 60.0), 3, True)

    assert erase(settings, "--id", "C-1", "--yes")[0] == 0

    assert work.find_own(database, {place.job_id: place.job_key}) == set()
    assert work.claim(database, [place.job_id], Lease("w", 60.0), 3, True) == []


def test_nothing_is_erased_while_redis_is_away_or_nobody_agreed(database: Engine, settings: Settings) -> None:
    add(database, "mon", {"C-1": f"user: {WORDS}\n"})
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    assert erase(away, "--id", "C-1", "--yes")[0] == 6
    assert erase(settings, "--id", "C-1")[0] == 2
    assert len(places_of(database, "C-1")) == 1


def test_what_was_erased_is_in_the_audit_without_the_id(database: Engine, settings: Settings) -> None:
    add(database, "mon", {"C-1": f"user: {WORDS}\n"})
    erase(settings, "--id", "C-1", "--yes")
    (row,) = audit.entries(database, 10)
    assert row.entry == audit.Entry(audit.Action.ERASE, 1, {"conversations": 1, "jobs": 1, "summaries": 0})
