"""The page about adapters, and promotion and rollback, each after a question.

Both run the command `aftercall adapters` in a process of its own: the gate belongs to training, which nothing here
imports.
"""

import subprocess
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from aftercall.ledger import browse
from aftercall.processes import python_command
from producer.web.pages import NUM_ROWS, link, read_number, render, require_sure, split_page
from producer.web.state import database_of

#: The gate compares stored judgements; it loads no model.
_TIMEOUT_S = 120


def show_all(request: Request) -> Response:
    """The registered adapters, and every change of the active one."""
    database = database_of(request)
    changes, has_more = split_page(browse.adapter_changes(database, read_number(request, "before"), NUM_ROWS + 1))
    return render(
        request,
        "adapters",
        title="Adapters",
        registered=browse.registered_adapters(database),
        changes=changes,
        more=link("/adapters", before=changes[-1].id) if has_more else None,
    )


def promote(request: Request) -> Response:
    """Ask whether to promote an adapter through the gate, and do it."""
    digest = _named(request).get("digest", "")
    if all(each.digest != digest for each in browse.registered_adapters(database_of(request))):
        raise HTTPException(404, f"No adapter {digest} is registered.")
    return _ask_or_run(
        request,
        f"Promote {digest}",
        f"If the gate finds adapter {digest} better than what is served now, the workers swap it in.",
        ["promote", "--", digest],
        {"digest": digest},
    )


def roll_back(request: Request) -> Response:
    """Ask whether to serve the adapter before the active one again, and do it."""
    base = _named(request).get("base", "")
    if all(
        (each.base_model, each.state) != (base, "active") for each in browse.registered_adapters(database_of(request))
    ):
        raise HTTPException(404, f"No adapter of {base} is active.")
    return _ask_or_run(
        request,
        f"Roll back {base}",
        f"The workers serve the adapter again that was active for {base} before the current one.",
        ["rollback", "--base", base],
        {"base": base},
    )


def _named(request: Request) -> Mapping[str, str]:
    named: Mapping[str, str] = request.query_params if request.method == "GET" else request.state.form
    return named


def _ask_or_run(
    request: Request, title: str, sentence: str, arguments: list[str], fields: Mapping[str, str]
) -> Response:
    if request.method == "GET":
        return render(
            request,
            "confirm",
            title=title,
            sentence=sentence,
            action=request.url.path,
            button=title.split(maxsplit=1)[0] if "promote" in request.url.path else "Roll back",
            fields=fields,
            back="/adapters",
        )
    require_sure(request)
    said, is_done = _run(arguments)
    return render(request, "message", title=title, sentence=said, back="/adapters", status=200 if is_done else 409)


def _run(arguments: list[str]) -> tuple[str, bool]:
    """What `aftercall adapters …` said, and whether it succeeded. It reads the same environment as this process."""
    command = python_command("aftercall", "adapters", *arguments)
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return (
            f"The command did not end within {_TIMEOUT_S} seconds. `aftercall adapters history` says what it did.",
            False,
        )
    return (ended.stdout + ended.stderr).strip(), ended.returncode == 0
