"""What a worker does about an adapter that it cannot take as it is, with a scripted engine."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from aftercall.errors import AdapterError
from aftercall.ledger import account, delivery
from aftercall.ledger.work import Lease
from aftercall.message import Chunk, ChunkJob
from aftercall.models import Adapter
from aftercall.settings import Settings
from tests.fixtures.scripted_worker import CharacterTokenizer, ScriptedEngine, ScriptedModel
from tests.fixtures.workers import (
    TIMEOUT_S,
    assert_never,
    cleaned_text,
    submit_file,
    wait_until,
    write_source,
)
from worker.adapters.lora import NotSwappableError
from worker.engine.base import PromptFailure, SamplingSettings
from worker.jobs.summarizer import Summarizer
from worker.serving.follower import AdapterFollower
from worker.serving.served import Served, Serving
from worker.upkeep.leases import LeaseKeeper

INTERVAL_S = 0.01


class ScriptedAdapter:
    """Stages what the script says."""

    def __init__(self, stage: Callable[[], Any]) -> None:
        self._stage = stage

    def stage(self, folder: Path | None, digest: str) -> Any:
        return replace(self._stage(), adapter_digest=digest)

    def apply(self, staged: Any) -> Any:
        if staged.base_model == "broken":
            raise RuntimeError("half-way")
        return staged


@pytest.fixture
def restarts() -> list[str]:
    return []


@pytest.fixture
def follow(database: Engine, restarts: list[str]) -> Callable[[Callable[[], Any]], tuple[Serving, AdapterFollower]]:
    """A follower of a registry whose active adapter is `wanted`."""
    with database.begin() as connection:
        row = {"digest": "wanted", "base_model": "scripted", "state": "active", "path": "p", "manifest": "{}"}
        connection.execute(insert(Adapter).values(row | {"created_at": 0.0}))

    def make(stage: Callable[[], Any]) -> tuple[Serving, AdapterFollower]:
        live: Any = ScriptedAdapter(stage)
        model: Any = ScriptedModel()
        serving = Serving(Served(ScriptedEngine(None, None), CharacterTokenizer(), model, SamplingSettings(), live))
        return serving, AdapterFollower(
            serving, database, lambda provenance: None, lambda: restarts.append("restart"), INTERVAL_S
        )

    return make


Follow = Callable[[Callable[[], Any]], tuple[Serving, AdapterFollower]]


def test_an_adapter_that_needs_a_fresh_process_ends_this_one_once(follow: Follow, restarts: list[str]) -> None:
    def stage() -> Any:
        raise NotSwappableError("it is of another kind")

    serving, follower = follow(stage)
    with follower:
        wait_until(lambda: restarts, "the process asked to end")
        assert_never(lambda: len(restarts) > 1, "asked twice", 0.1)
    assert serving.now.provenance.adapter_digest == ""


def test_a_swap_that_fails_ends_the_process_and_writes_nothing_more(follow: Follow, restarts: list[str]) -> None:
    serving, follower = follow(lambda: ScriptedModel(base_model="broken"))
    with follower:
        wait_until(lambda: restarts, "the process asked to end")
    [outcome] = serving.now.engine.generate([[1]])
    assert isinstance(outcome, PromptFailure)


def test_a_refused_adapter_is_tried_again_later_and_then_served(
    follow: Follow, restarts: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worker.serving.follower.RETRY_S", 0.1)
    arrived: list[Any] = []

    def stage() -> Any:
        if not arrived:
            raise AdapterError("its folder is not here")
        return ScriptedModel()

    serving, follower = follow(stage)
    with follower:
        wait_until(lambda: "its folder is not here" in caplog.text, "a word about it")
        assert_never(lambda: serving.now.provenance.adapter_digest, "served", 0.3)
        assert caplog.text.count("its folder is not here") == 1
        arrived.append(True)
        wait_until(lambda: serving.now.provenance.adapter_digest == "wanted", "the adapter served")
    assert restarts == []


def test_a_swap_that_hangs_is_noticed_like_an_engine_that_hangs(
    follow: Follow, database: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Whoever waits for its end holds its leases: nobody else would ever take the work over."""
    serving, _ = follow(ScriptedModel)
    report = submit_file(write_source(tmp_path / "night.csv", ["C-1"]), database, settings)
    (job_id,) = delivery.sent_before(database, age_s=-60.0)
    has_begun, has_hung, is_over = threading.Event(), threading.Event(), threading.Event()
    hasty = settings.model_copy(update={"engine_timeout_s": 0.2})
    leases = LeaseKeeper(database, Lease("worker", 60.0))
    summarizer = Summarizer(database, serving, leases, hasty, on_engine_lost=pytest.fail, on_engine_hung=has_hung.set)

    def change() -> Any:
        has_begun.set()
        is_over.wait()
        return serving.now.provenance

    with ThreadPoolExecutor(2) as threads:
        try:
            threads.submit(serving.swap, change)
            assert has_begun.wait(TIMEOUT_S)
            threads.submit(summarizer.summarize, Chunk((ChunkJob(job_id, cleaned_text("C-1")),)))
            assert has_hung.wait(TIMEOUT_S), "nobody noticed"
            (result,) = account.results(database, report.submission_id)
            assert (result.state, result.error_code) == ("queued", "engine_hung")
        finally:
            is_over.set()
