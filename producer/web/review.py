"""The review pages: draw rows, decide on the next one, export what was found.

A reviewer sees the conversation and the summary, and nothing that another reviewer found.
"""

import re
from io import StringIO
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from aftercall.corrections import edit_share, find_problem, squeeze
from aftercall.ledger import account, browse, reviews
from aftercall.ledger.reviews import Decision, Found, Row
from producer.export import write_csv
from producer.web.conversations import read_turns
from producer.web.figures import gather
from producer.web.pages import NUM_ROWS, link, read_number, render, split_page
from producer.web.state import database_of, memory_of

NAME_COOKIE: Final = "aftercall_reviewer"

_MAX_NAME_CHARS: Final = 64

#: Rows drawn at once, at most.
_MAX_DRAWN: Final = 10_000

#: Of the rows that are drawn, this share at random.
CONTROL_SHARE: Final = 0.2

#: Code to what a reviewer reads.
REASONS: Final = {
    "wrong_fact": "a fact is wrong",
    "invented": "something is invented",
    "missing": "something important is missing",
    "wrong_side": "it says who did what the wrong way round",
    "outcome": "the outcome is wrong or missing",
    "unclear": "it is hard to understand",
    "style": "wording only",
}

#: What `aftercall review import` reads, and what it leaves unread.
CSV_COLUMNS: Final = (
    "job", "id", "conversation", "summary", "corrected", "reviewer", "decision", "reason", "drawn",
)  # fmt: skip


def show_all(request: Request) -> Response:
    """How far the reviews are, and the submissions that can be reviewed."""
    database = database_of(request)
    before = read_number(request, "before")
    records, has_more = split_page(browse.newest_submissions(database, before, NUM_ROWS + 1))
    progress = {each.submission_id: each for each in reviews.progress(database)}
    return render(
        request,
        "reviews",
        title="Review",
        reviewer=_name(request),
        records=records,
        progress=progress,
        more=link("/review", before=records[-1].id) if has_more else None,
    )


def show_next(request: Request) -> Response:
    """The next row of a submission for this reviewer, or the form that draws rows."""
    number = _number(request)
    record = account.submission(database_of(request), number)
    reviewer = _name(request)
    row = reviews.next_row(database_of(request), number, reviewer) if reviewer else None
    return _show(request, record.id, row)


def set_name(request: Request) -> Response:
    """Remember a reviewer's name in this browser."""
    name = request.state.form.get("name", "").strip()
    if not re.fullmatch(r"[\w.@-]{1,64}", name):
        raise HTTPException(400, "A reviewer's name has 1 to 64 letters, figures, dots, dashes or @.")
    back = request.state.form.get("number", "")
    answer = RedirectResponse(f"/review/{back}" if back.isdecimal() else "/review", 303)
    answer.set_cookie(NAME_COOKIE, name.encode().hex(), httponly=True, samesite="strict", max_age=31_536_000)
    return answer


def draw(request: Request) -> Response:
    """Draw more rows of a submission."""
    number = _number(request)
    account.submission(database_of(request), number)
    wanted = request.state.form.get("rows", "")
    if not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:9]) <= _MAX_DRAWN):
        raise HTTPException(400, f"Draw from 1 to {_MAX_DRAWN:,} rows.")
    num_control = round(int(wanted) * CONTROL_SHARE)
    if not reviews.draw(database_of(request), number, int(wanted) - num_control, num_control):
        raise HTTPException(409, "No summary is left to draw: all are drawn, or none is done yet.")
    return RedirectResponse(f"/review/{number}", 303)


def decide(request: Request) -> Response:
    """Record what a reviewer found, and go to the next row."""
    database = database_of(request)
    form = request.state.form
    row = reviews.row(database, min(request.path_params["row"], 10**18))
    reviewer = _name(request)
    if row is None or not reviewer:
        raise HTTPException(404, "This row was purged or erased, or you have not given your name.")
    try:
        decision = Decision(form.get("decision", ""))
    except ValueError:
        raise HTTPException(400, "Approve, correct or skip the summary.") from None
    corrected = squeeze(form.get("corrected", ""))
    reason = form.get("reason") or None
    if reason is not None and reason not in REASONS:
        raise HTTPException(400, "Choose one of the reasons on the page.")
    if decision is Decision.CORRECTED:
        if corrected == squeeze(row.summary):
            problem: str | None = "the correction is the summary as it was; change it, or approve it"
        else:
            problem = find_problem(corrected, row.conversation)
        if problem:
            return _show(request, row.submission_id, row, problem, form.get("corrected", ""), reason)
    is_corrected = decision is Decision.CORRECTED
    share = edit_share(row.summary, corrected) if is_corrected else 0.0
    reviews.record(database, Found(row.id, reviewer, decision, corrected if is_corrected else None, reason, share))
    memory_of(request).forget()
    return RedirectResponse(f"/review/{row.submission_id}", 303)


def export(request: Request) -> Response:
    """The reviews of a submission as the CSV that `aftercall review import` reads."""
    number = _number(request)
    account.submission(database_of(request), number)
    file = StringIO(newline="")
    rows = (
        dict(
            zip(
                CSV_COLUMNS,
                (
                    each.job_id, each.external_id, each.conversation, each.summary, each.corrected or "",
                    each.reviewer, each.decision, each.reason or "", "control" if each.is_control else "risk",
                ),
                strict=True,
            )
        )
        for each in reviews.reviewed(database_of(request), number)
    )  # fmt: skip
    write_csv(file, CSV_COLUMNS, rows)
    headers = {"content-disposition": f'attachment; filename="review-{number}.csv"'}
    return Response(file.getvalue().encode(errors="replace"), media_type="text/csv", headers=headers)


def show_figures(request: Request) -> Response:
    """Acceptance, edit distance and agreement over time, by adapter and by reason."""
    database = database_of(request)
    figures = memory_of(request).recall("figures", lambda: gather(database))
    return render(request, "figures", title="What reviewers found", figures=figures, names=REASONS)


def _show(
    request: Request,
    number: int,
    row: Row | None,
    problem: str | None = None,
    draft: str | None = None,
    reason: str | None = None,
) -> Response:
    return render(
        request,
        "review",
        title=f"Review of submission {number}",
        status=422 if problem else 200,
        number=number,
        row=row,
        turns=read_turns(row.conversation) if row else (),
        reviewer=_name(request),
        progress=next(iter(reviews.progress(database_of(request), number)), None),
        problem=problem,
        draft=(row.summary if row else "") if draft is None else draft,
        chosen=reason,
        reasons=REASONS,
    )


def _name(request: Request) -> str:
    """The reviewer's name: that of the login or, without a password, the one given before in this browser."""
    if request.state.user:
        return str(request.state.user)[:_MAX_NAME_CHARS]
    try:
        return bytes.fromhex(request.cookies.get(NAME_COOKIE, "")).decode()[:_MAX_NAME_CHARS]
    except ValueError:
        return ""


def _number(request: Request) -> int:
    return min(int(request.path_params["number"]), 10**18)
