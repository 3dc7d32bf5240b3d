"""The pages about submissions: all, one, its report, and stopping it."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from aftercall.database import show_url
from aftercall.ledger import account, browse, control, failures
from producer.report.gather import gather
from producer.report.render import render as render_report
from producer.standing import Standings, read_standings
from producer.web.access import REPORT_POLICY
from producer.web.pages import NUM_ROWS, link, read_number, render, require_sure, split_page
from producer.web.state import database_of, memory_of, services_of

#: How often an open submission's page loads itself again, at most.
REFRESH_S = 5


def show_all(request: Request) -> Response:
    """Submissions, newest first."""
    before = read_number(request, "before")
    records, has_more = split_page(browse.newest_submissions(database_of(request), before, NUM_ROWS + 1))
    standings = _standings(request, [record.id for record in records])
    return render(
        request,
        "submissions",
        title="Submissions",
        standings=standings,
        where=show_url(services_of(request).database.url),
        newest_first=standings.submissions[::-1],
        older=link("/", before=records[-1].id) if has_more else None,
        refresh_s=REFRESH_S if standings.total.open and before is None else None,
    )


def show_one(request: Request) -> Response:
    """One submission: its account, why conversations failed, and a page of them."""
    number = _number(request)
    database = database_of(request)
    standing = _standings(request, [number]).submissions[0]
    after = request.query_params.get("after")
    places, has_more = split_page(browse.places(database, number, after, NUM_ROWS + 1))
    failed = memory_of(request).recall(("failed", number), lambda: failures.counts(database, number))
    return render(
        request,
        "submission",
        title=f"Submission {number}",
        standing=standing,
        failed=failed if standing.account.failed else [],
        places=places,
        is_first=after is None,
        more=link(f"/submissions/{number}", after=places[-1].external_id) if has_more else None,
        refresh_s=REFRESH_S if standing.account.open and after is None else None,
    )


def show_report(request: Request) -> Response:
    """The report that `aftercall report` writes."""
    number = _number(request)
    services = services_of(request)

    def make() -> str:
        settings = services.settings
        return render_report(
            gather(services.database, [number], deadline=settings.deadline, gpu_hour_cost=settings.gpu_hour_cost)
        )

    page = memory_of(request).recall(("report", number), make)
    return HTMLResponse(page.encode(errors="replace"), headers={"content-security-policy": REPORT_POLICY})


def cancel(request: Request) -> Response:
    """Ask whether to stop a submission, and do it."""
    number = _number(request)
    database = database_of(request)
    record = account.submission(database, number)
    if request.method == "GET":
        return render(
            request,
            "confirm",
            title=f"Cancel submission {number}",
            sentence=f"No more of submission {number} ({record.name}) starts. Finished summaries are kept.",
            action=request.url.path,
            button="Cancel the submission",
            fields={},
            back=f"/submissions/{number}",
        )
    require_sure(request)
    num_cancelled = control.cancel(database, number)
    memory_of(request).forget()
    sentence = f"{num_cancelled:,} conversations cancelled" if num_cancelled else "Nothing was open."
    return render(request, "message", title=f"Submission {number}", sentence=sentence, back=f"/submissions/{number}")


def _standings(request: Request, numbers: list[int]) -> Standings:
    services = services_of(request)
    return memory_of(request).recall(
        ("standings", *numbers), lambda: read_standings(services.database, numbers, services.settings.deadline)
    )


def _number(request: Request) -> int:
    number: int = request.path_params["number"]
    # More digits than a database can hold.
    return min(number, 10**18)
