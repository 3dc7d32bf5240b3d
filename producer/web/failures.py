"""The pages about what failed: by code, each conversation, and the retry."""

from starlette.requests import Request
from starlette.responses import Response

from aftercall.ledger import browse, control, failures
from aftercall.models import JobState
from producer.web.pages import NUM_ROWS, link, read_number, render, split_page
from producer.web.state import database_of, memory_of


def show_all(request: Request) -> Response:
    """How many conversations failed with each code."""
    database = database_of(request)
    counts = memory_of(request).recall("failures", lambda: failures.counts(database, None))
    return render(request, "failures", title="Failures", counts=counts)


def show_code(request: Request) -> Response:
    """The conversations that failed with one code."""
    code = request.query_params.get("code", "")
    after = read_number(request, "after") or 0
    places, has_more = split_page(browse.failed(database_of(request), code, after, NUM_ROWS + 1))
    more = link("/failures/code", code=code, after=places[-1].job_id) if has_more else None
    return render(request, "failed", title=f"Failed with {code}", code=code, places=places, more=more)


def retry(request: Request) -> Response:
    """Queue again what failed with one code, with all its attempts. The workers' next sweep sends it."""
    code = request.state.form.get("code", "")
    num_queued = control.requeue(database_of(request), None, [JobState.FAILED], code)
    memory_of(request).forget()
    sentence = f"{num_queued:,} conversations are queued again, and the workers' next sweep sends them."
    return render(request, "message", title="Failures", sentence=sentence, back="/failures")
