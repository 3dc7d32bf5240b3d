"""No statement of the ledger reads a whole table, unless it is said here that it does."""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, make_url, text

from adapters import find_shipped
from aftercall import ledger, schema
from aftercall.database import connect
from aftercall.ledger import (
    account,
    adapters,
    audit,
    browse,
    control,
    delivery,
    erasure,
    failures,
    history,
    intake,
    invariants,
    pace,
    pause,
    places,
    retention,
    review_figures,
    reviews,
    rollout_figures,
    rollouts,
    search,
    webhooks,
    work,
    workers,
)
from aftercall.ledger.work import JobFailure, Lease, SummaryRecord
from aftercall.models import JobState, Priority
from aftercall.settings import PACKAGED_MODEL
from tests.fixtures.large_ledger import NUM_JOBS, PER_SUBMISSION, fill

#: Tables that grow with the conversations.
LARGE = "job|submission_job|summary"
#: Partial indexes: a scan of one reads only what the sweep looks for, or the guests.
SMALL_INDEXES = "ix_job_unsent|ix_job_sent|ix_job_lease|ix_submission_job_guest"

SHIPPED = find_shipped(PACKAGED_MODEL)
assert SHIPPED is not None
SUBMISSION = 500
FIRST = (SUBMISSION - 1) * PER_SUBMISSION
LEASE = Lease("worker", 60.0)
WORKER = workers.WorkerRecord("worker", "0", 1, "0", "base", "")


def jobs(last_digit: int) -> list[int]:
    """Some jobs of the submission with this last digit, which says what state they are in."""
    return [FIRST + 10 * number + last_digit for number in range(5, 10)]


def summaries(job_ids: Iterable[int]) -> list[SummaryRecord]:
    return [
        SummaryRecord(job_id, "new", "x", "b", "none", "f", "1", "1", "{}", 1, 1, "stop", 1.0, 1.0, "w")
        for job_id in job_ids
    ]


def new_jobs() -> list[intake.NewJob]:
    return [
        intake.NewJob(f"new {number}", 10**6 + number, "user: new\n", f"{number:032d}", "1", is_sufficient=True)
        for number in range(FIRST + PER_SUBMISSION - 2, FIRST + PER_SUBMISSION + 2)
    ]


def webhook_of(engine: Engine) -> int:
    """The message of a submission that may have been asked for before."""
    webhooks.ask(engine, SUBMISSION)
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT min(id) FROM webhook")).scalar_one())


def rollout(engine: Engine) -> rollouts.Rollout:
    """A canary that runs, begun with the first call."""
    if not (running := rollouts.running(engine, "base")):
        rollouts.begin(engine, "base", rollouts.Kind.CANARY, "new", "old", 0.1)
        running = rollouts.running(engine, "base")
    return running[0]


#: A call of every function of the ledger, in an order in which each has something to do.
CALLS: dict[str, Callable[[Engine], Any]] = {
    "account.submissions": account.submissions,
    "account.submission": lambda engine: account.submission(engine, SUBMISSION),
    "account.account": lambda engine: account.account(engine, SUBMISSION),
    "account.accounts": account.accounts,
    "account.recount": account.recount,
    "account.results": lambda engine: list(account.results(engine, SUBMISSION)),
    "account.count_to_review": lambda engine: account.count_to_review(engine, SUBMISSION),
    "history.finished_by_worker": lambda engine: history.finished_by_worker(engine, [SUBMISSION], 0.0, 60.0),
    "history.summary_figures": lambda engine: history.summary_figures(engine, [SUBMISSION]),
    "history.tally": lambda engine: history.tally(engine, [SUBMISSION], "reason"),
    "history.worth_reading": lambda engine: history.worth_reading(engine, [SUBMISSION], 10),
    "history.submissions_before": lambda engine: history.submissions_before(engine, SUBMISSION, 28),
    "browse.newest_submissions": lambda engine: browse.newest_submissions(engine, SUBMISSION, 51),
    "browse.places": lambda engine: browse.places(engine, SUBMISSION, str(FIRST + 20), 51),
    "browse.find_id": lambda engine: browse.find_id(engine, str(FIRST + 20), 900, 51),
    "browse.places_of_jobs": lambda engine: browse.places_of_jobs(engine, jobs(1)),
    "browse.failed": lambda engine: browse.failed(engine, "empty_summary", FIRST, 51),
    "browse.conversation": lambda engine: browse.conversation(engine, SUBMISSION, str(FIRST + 20)),
    "browse.registered_adapters": browse.registered_adapters,
    "browse.adapter_changes": lambda engine: browse.adapter_changes(engine, None, 51),
    "reviews.draw": lambda engine: reviews.draw(engine, SUBMISSION, 40, 10),
    "reviews.next_row": lambda engine: reviews.next_row(engine, SUBMISSION, "ann"),
    "reviews.row": lambda engine: reviews.row(engine, 1),
    "reviews.record": lambda engine: reviews.record(engine, reviews.Found(1, "ann", reviews.Decision.APPROVED)),
    "reviews.progress": reviews.progress,
    "reviews.reviewed": lambda engine: list(reviews.reviewed(engine, SUBMISSION)),
    "review_figures.row_figures": lambda engine: list(review_figures.row_figures(engine)),
    "review_figures.reasons": review_figures.reasons,
    "search.build": search.build,
    "search.is_built": search.is_built,
    "search.find": lambda engine: [search.find(engine, "a new word", scope, FIRST, 51) for scope in search.Scope],
    "search.scrub": lambda engine: [search.scrub(engine), search.is_built(engine)],
    "search.drop": lambda engine: [search.drop(engine), search.is_built(engine)],
    "pace.newest_submission": pace.newest_submission,
    "pace.pace": pace.pace,
    "pace.tallies": lambda engine: pace.tallies(engine, [SUBMISSION]),
    "adapters.folders": adapters.folders,
    "adapters.find_folder": lambda engine: adapters.find_folder(engine, "dig"),
    "adapters.find_asked": lambda engine: adapters.find_asked(engine, SHIPPED.name),
    "history.some_texts": lambda engine: history.some_texts(engine, [SUBMISSION], 500),
    "rollouts.begin": rollout,
    "rollouts.running": rollout,
    "rollouts.every": rollouts.every,
    "rollouts.take_check": lambda engine: rollouts.take_check(engine, rollout(engine).id, 60.0),
    "rollouts.record": lambda engine: rollouts.record(engine, [rollouts.Result(rollout(engine).id, FIRST + 20, "new")]),
    "rollout_figures.count_arms": lambda engine: rollout_figures.count_arms(engine, rollout(engine)),
    "rollouts.stop": lambda engine: rollouts.stop(engine, rollout(engine), rollouts.State.STOPPED, "by hand"),
    "audit.record": lambda engine: audit.record(engine, audit.Entry(audit.Action.EXPORT, SUBMISSION, {"rows": 1})),
    "audit.try_to_record": lambda engine: audit.try_to_record(engine, audit.Entry(audit.Action.EXPORT, SUBMISSION, {})),
    "audit.entries": lambda engine: audit.entries(engine, 10),
    "adapters.active": lambda engine: adapters.active(engine, "base"),
    "adapters.find_namesake": lambda engine: adapters.find_namesake(engine, "base"),
    "adapters.find_writer": lambda engine: adapters.find_writer(engine, "dig"),
    "failures.counts": lambda engine: failures.counts(engine, SUBMISSION),
    "failures.each": lambda engine: list(failures.each(engine, SUBMISSION, "empty_summary")),
    "invariants.num_known": lambda engine: invariants.num_known(engine, jobs(1)),
    "invariants.violations": invariants.violations,
    "invariants.num_expired": lambda engine: invariants.num_expired(engine, 1.0),
    "delivery.unsent": lambda engine: delivery.unsent(engine, 1_000, 10**6),
    "delivery.unsent, urgent": lambda engine: delivery.unsent(engine, 1_000, 10**6, Priority.HIGH),
    "delivery.num_sent": delivery.num_sent,
    "delivery.sent_before": lambda engine: delivery.sent_before(engine, 30.0),
    "delivery.mark_sent": lambda engine: delivery.mark_sent(engine, jobs(8)),
    "delivery.mark_unsent": lambda engine: delivery.mark_unsent(engine, jobs(7)),
    "delivery.expire": lambda engine: delivery.expire(engine, 3),
    "intake.open_submission": lambda engine: intake.open_submission(engine, "night.csv", "new"),
    "intake.add_jobs": lambda engine: intake.add_jobs(engine, SUBMISSION, new_jobs()),
    "intake.close_submission": lambda engine: intake.close_submission(engine, SUBMISSION, 0),
    "pause.current": pause.current,
    "pause.begin": lambda engine: pause.begin(engine, "why"),
    "pause.end": pause.end,
    "places.repair": places.repair,
    "work.has_last_try": lambda engine: work.has_last_try(engine, jobs(7), 3),
    "work.claim": lambda engine: work.claim(engine, jobs(7), LEASE, 3, True),
    "work.heartbeat": lambda engine: work.heartbeat(engine, jobs(7), LEASE),
    "work.fail": lambda engine: work.fail(engine, JobFailure(jobs(7)[0], "code", "why"), "worker", 3, 5.0),
    "work.release": lambda engine: work.release(engine, jobs(7)[1:2], "worker"),
    "work.complete": lambda engine: [work.complete(engine, summaries(jobs(7)[2:])) for _ in range(2)],
    "work.find_own": lambda engine: work.find_own(engine, dict.fromkeys(jobs(7), "key")),
    "work.find_stored": lambda engine: work.find_stored(engine, jobs(7)),
    "webhooks.ask": lambda engine: webhooks.ask(engine, SUBMISSION),
    "webhooks.settle": lambda engine: webhooks.settle(engine, SUBMISSION, is_wanted=True),
    "webhooks.due": webhooks.due,
    "webhooks.claim": lambda engine: webhooks.claim(engine, webhooks.Message(1, SUBMISSION, "key", None, 0)),
    "webhooks.write": lambda engine: webhooks.write(engine, webhook_of(engine), "{}"),
    "webhooks.delivered": lambda engine: webhooks.delivered(engine, 1),
    "webhooks.failed": lambda engine: webhooks.failed(engine, 1, "why"),
    "webhooks.retry": webhooks.retry,
    "workers.record_heartbeat": lambda engine: workers.record_heartbeat(engine, WORKER),
    "workers.alive": workers.alive,
    "workers.delete_stale": lambda engine: workers.delete_stale(engine, 1e6),
    "workers.remove": lambda engine: workers.remove(engine, "worker"),
    "control.prioritize": lambda engine: control.prioritize(engine, SUBMISSION - 2, Priority.HIGH),
    "control.cancel": lambda engine: control.cancel(engine, SUBMISSION),
    "control.requeue": lambda engine: control.requeue(
        engine, SUBMISSION, [JobState.FAILED, JobState.CANCELLED], "code"
    ),
    "control.count_written_by": lambda engine: control.count_written_by(engine, "new"),
    "control.redo": lambda engine: control.redo(engine, "new"),
    "erasure.find": lambda engine: erasure.find(engine, str(FIRST + 11)),
    "erasure.erase": lambda engine: erasure.erase(engine, str(FIRST + 11), [SUBMISSION]),
    "retention.submitted_before": lambda engine: retention.submitted_before(engine, 1.0),
    "retention.open_among": lambda engine: retention.open_among(engine, [SUBMISSION - 1]),
    "retention.weigh": lambda engine: retention.weigh(engine, [SUBMISSION - 1]),
    "retention.empty": lambda engine: retention.empty(engine, cancelled(engine, SUBMISSION - 1), 100),
    "retention.drop_empty": lambda engine: retention.drop_empty(engine, [SUBMISSION - 1]),
}

#: Those that read whole tables, and why that is right.
WHOLE = {
    "account.accounts": "counts every conversation, in an index",
    "account.recount": "counts every conversation",
    "adapters.find_writer": "people call it once, for a prefix of a digest",
    "control.count_written_by": "people call it once, for what may be every summary",
    "control.redo": "people call it once, for what may be every summary",
    "pace.pace": "reads the newest rows by their primary key, up to a limit",
    "invariants.violations": "looks for what must not be anywhere",
}


def cancelled(engine: Engine, submission_id: int) -> int:
    """A submission with nothing open."""
    control.cancel(engine, submission_id)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE job SET state = 'done' WHERE id > {FIRST - 400} AND id <= {FIRST}"))
    return submission_id


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def large_ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One filled ledger for all tests of this module."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'aftercall.db'}"
    else:
        shared = request.getfixturevalue("postgres_url")
        admin = create_engine(shared, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE plans"))
        admin.dispose()
        url = make_url(shared).set(database="plans").render_as_string(hide_password=False)
    engine = connect(url)
    schema.upgrade(engine)
    fill(engine)
    yield engine
    engine.dispose()


def test_every_function_of_the_ledger_is_called() -> None:
    modules = [
        importlib.import_module(f"{ledger.__name__}.{info.name}") for info in pkgutil.iter_modules(ledger.__path__)
    ]
    public = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and next(iter(inspect.signature(function).parameters), "") == "engine"
        if not name.startswith("_") and name not in ("run", "job_batches")
    }
    assert public == {name.partition(",")[0] for name in CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_a_statement_reads_only_the_rows_it_needs(name: str, large_ledger: Engine) -> None:
    with recorded(large_ledger) as statements:
        CALLS[name](large_ledger)
    assert statements
    scans = {scan for statement in statements for scan in full_scans(large_ledger, *statement)}
    if name in WHOLE:
        assert scans, f"{name} no longer reads whole tables: take it off the list"
    else:
        assert scans == set()


class recorded:
    """The statements that are executed while the block runs, each with its parameters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements: list[tuple[str, Any]] = []

    def __enter__(self) -> list[tuple[str, Any]]:
        event.listen(self._engine, "before_cursor_execute", self._record)
        return self._statements

    def __exit__(self, *exception: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._record)

    def _record(self, connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement):
            self._statements.append((statement, parameters[0] if isinstance(parameters, list) else parameters))


def full_scans(engine: Engine, statement: str, parameters: Any) -> list[str]:
    """The large tables that a statement reads from end to end, by the database's own plan."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        if engine.dialect.name == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in cursor.fetchall()]
            return [
                step
                for step in steps
                if re.match(rf"SCAN ({LARGE})\b", step) and not re.search(rf"INDEX ({SMALL_INDEXES})\b", step)
            ]
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        plan = cursor.fetchone()[0]
        plan = json.loads(plan) if isinstance(plan, str) else plan
        return list(_scans(plan[0]["Plan"]))
    finally:
        connection.rollback()
        connection.close()


def _scans(node: dict[str, Any]) -> Iterator[str]:
    is_scan = node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan")
    is_large = re.fullmatch(LARGE, node.get("Relation Name", "")) is not None
    is_small_index = re.fullmatch(SMALL_INDEXES, node.get("Index Name", "")) is not None
    if is_scan and is_large and "Index Cond" not in node and not is_small_index:
        yield f"{node['Node Type']} on {node['Relation Name']}"
    # The first row of an index, as for a maximum, is one row.
    is_first = node["Node Type"] == "Limit" and node["Plan Rows"] == 1
    for child in node.get("Plans", ()):
        if not (is_first and child["Node Type"] == "Index Only Scan" and "Filter" not in child):
            yield from _scans(child)


def test_the_ledger_is_as_large_as_it_says(large_ledger: Engine) -> None:
    with large_ledger.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM job")).scalar_one() >= NUM_JOBS - 101
