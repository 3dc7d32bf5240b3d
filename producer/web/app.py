"""The application: which page is where, and what an error looks like."""

from pathlib import Path

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from aftercall.database import explain
from aftercall.errors import AftercallError, DatabaseError, NotFoundError
from producer.services import Services
from producer.web import adapters, conversations, failures, machines, review, submissions
from producer.web.access import Access, Guard
from producer.web.pages import render
from producer.web.state import Memory, database_of


def build(services: Services, access: Access) -> Starlette:
    """The application on these services."""
    app = Starlette(
        routes=[
            Route("/", submissions.show_all),
            Route("/submissions/{number:int}", submissions.show_one),
            Route("/submissions/{number:int}/report", submissions.show_report),
            Route("/submissions/{number:int}/cancel", submissions.cancel, methods=["GET", "POST"]),
            Route("/submissions/{number:int}/conversation", conversations.show),
            Route("/search", conversations.search),
            Route("/failures", failures.show_all),
            Route("/failures/code", failures.show_code),
            Route("/failures/retry", failures.retry, methods=["POST"]),
            Route("/review", review.show_all),
            Route("/review/figures", review.show_figures),
            Route("/review/{number:int}", review.show_next),
            Route("/review/{number:int}/draw", review.draw, methods=["POST"]),
            Route("/review/{number:int}/corrections.csv", review.export),
            Route("/review/name", review.set_name, methods=["POST"]),
            Route("/review/rows/{row:int}", review.decide, methods=["POST"]),
            Route("/workers", machines.show_workers),
            Route("/metrics", machines.metrics),
            Route("/adapters", adapters.show_all),
            Route("/adapters/promote", adapters.promote, methods=["GET", "POST"]),
            Route("/adapters/rollback", adapters.roll_back, methods=["GET", "POST"]),
            # What a browser asks for where a page names no icon: the report is a file that stands alone.
            Route("/favicon.ico", _redirect_to_icon),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={
            AftercallError: _show_error,
            DBAPIError: _show_database_error,
            HTTPException: _show_http_error,
        },
    )
    app.state.services = services
    app.state.memory = Memory()
    return app


def _redirect_to_icon(_: Request) -> Response:
    return RedirectResponse("/static/icon.svg")


def _show_error(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NotFoundError) else 503 if isinstance(error, DatabaseError) else 409
    return render(request, "message", title="That did not work", sentence=str(error), status=status)


def _show_database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DBAPIError)  # noqa: S101 - registered for these alone
    return _show_error(request, explain(database_of(request), error))


def _show_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    sentence = "There is no such page." if error.status_code == 404 else error.detail
    return render(request, "message", title="That did not work", sentence=sentence, status=error.status_code)
