"""Erases one conversation everywhere, and says in a receipt what was where.

Redis must be reachable before anything is deleted. Then the ledger goes first: once the job is gone, no sweep sends its
text again, and a worker drops every message that names it. Stopped half-way, the same command searches the files again,
by the caller's id.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

import adapters as shipped
from aftercall.broker import Broker
from aftercall.database import empty_log
from aftercall.embedded import embedded_broker
from aftercall.errors import AdapterError
from aftercall.ledger import adapters, delivery, erasure, search
from aftercall.os_user import current_user
from aftercall.settings import Settings
from aftercall.trained_on import digest_text, find_trained_on
from producer import advice
from producer.erasing.files import Change, erase_files
from producer.erasing.target import Target, digest

Receipt = dict[str, Any]


def find(database: Engine, external_id: str, submission_id: int | None) -> Target:
    """Where a conversation stands in the ledger."""
    places = erasure.find(database, external_id, submission_id)
    return Target(external_id, tuple(places), is_everywhere=submission_id is None)


def erase(settings: Settings, database: Engine, target: Target, named: Sequence[Path]) -> Receipt:
    """Erase a conversation; returns the receipt, which holds digests and counts, and none of its words."""
    receipt: Receipt = {
        "external_id_sha256": digest(target.external_id),
        "erased_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "erased_by": current_user(),
    }
    with _reach_queue(settings) as broker:
        receipt["ledger"] = _erase_from_ledger(database, target)
        receipt["queue"] = _erase_from_queue(broker, database, target)
    receipt["files"] = [_describe(change) for change in erase_files(settings, target, named)]
    return receipt | _find_adapters(settings, database, target)


def _erase_from_ledger(database: Engine, target: Target) -> Receipt:
    erased = erasure.erase(database, target.external_id, target.submission_ids)
    search.scrub(database)
    return {
        "conversations": [
            {
                "submission": place.submission_id,
                "job": place.job_id,
                "state": place.state,
                "summaries": place.num_summaries,
                "text_sha256": place.digest,
                "is_text_kept": place.job_id not in erased.job_ids,
                "held_by_others": place.num_other_places,
            }
            for place in target.places
        ],
        "num_jobs_deleted": len(erased.job_ids),
        "num_summaries_deleted": erased.num_summaries,
        "is_log_empty": empty_log(database),
    }


def _erase_from_queue(broker: Broker | None, database: Engine, target: Target) -> Receipt:
    if broker is None:
        return {"state": "no queue on this machine"}
    removed = broker.erase(target.job_ids)
    delivery.mark_unsent(database, sorted(removed.other_job_ids))
    return {
        "state": "searched",
        "messages_removed": removed.num_messages,
        "delivered_messages_removed": removed.num_unacked,
        "jobs_to_be_sent_again": len(removed.other_job_ids),
        "unreadable_messages": removed.num_unreadable,
        "append_only_file": broker.rewrite_log(),
    }


@contextmanager
def _reach_queue(settings: Settings) -> Iterator[Broker | None]:
    """The queue in Redis; on one machine that of `aftercall run`, whose server is started for this.

    Raises BrokerError if Redis can't be reached, AlreadyRunningError if `aftercall run` is at work.
    """
    if not advice.is_one_machine(settings):
        with closing(Broker(settings)) as broker:
            broker.check()
            yield broker
    elif not (settings.data_dir / "valkey").is_dir():
        yield None
    else:
        with (
            embedded_broker(settings.data_dir) as url,
            closing(Broker(settings.model_copy(update={"redis_url": url}))) as broker,
        ):
            yield broker


def _describe(change: Change) -> Receipt:
    described: Receipt = {"path": str(change.path), "rows": change.num_rows, "sha256_before": change.digest}
    return described | ({"problem": change.problem} if change.problem else {})


def _find_adapters(settings: Settings, database: Engine, target: Target) -> Receipt:
    """The adapters that learned from it: only training again without it makes them forget."""
    own = settings.adapters_dir.iterdir() if settings.adapters_dir.is_dir() else ()
    packaged = Path(shipped.__file__).parent.iterdir()
    folders = {folder for folder in (*own, *packaged, *adapters.folders(database)) if folder.is_dir()}
    texts = {place.text for place in target.places}
    try:
        return {
            "adapters_trained_on_it": find_trained_on(folders, texts),
            "trained_on_digests": sorted(map(digest_text, texts)),
        }
    except AdapterError as error:
        return {"adapters_trained_on_it": None, "adapters_problem": str(error)}
