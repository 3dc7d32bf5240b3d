"""The Celery message around a chunk: checked, and rebuilt before Celery sees it.

Anyone who can write to Redis can put anything into the queue. A message that Celery can't handle ends the worker, and
is back in the queue when the next one starts. So every message is parsed here first, and only its chunk is kept: the
headers, properties and body that reach Celery are our own.
"""

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from aftercall.message import JOBS_HEADER, TASK_NAME, Chunk, MessageError, format_job_ids, parse_job_ids
from aftercall.signing import is_genuine, sign


def read_envelope(raw: bytes | str, key: str = "") -> Chunk:
    """The chunk in a raw Celery message.

    Raises MessageError if any part of it is not as a producer of aftercall writes it, or if a key is given and the
    message is not signed with it.
    """
    message = _parse(raw, "a message")
    if not isinstance(message, Mapping):
        raise MessageError("a message that is not a JSON object")
    headers, properties = message.get("headers"), message.get("properties")
    if not isinstance(headers, Mapping) or not isinstance(properties, Mapping):
        raise MessageError("a message without headers and properties")
    if headers.get("compression") is not None:
        # Nothing bounds what it would decompress to: 257 bytes can become 413 MB.
        raise MessageError("a message that is compressed; aftercall sends none")
    if headers.get("task") != TASK_NAME:
        raise MessageError("a message for another Celery task than aftercall's; another program may share this queue")
    if message.get("content-type") != "application/json" or properties.get("body_encoding") != "base64":
        raise MessageError("a message whose body is not JSON in base64")
    argument = _only_argument(_decode(message.get("body")))
    if isinstance(argument, Mapping) and not is_genuine(argument, key):
        raise MessageError("a message that is not signed with this worker's AFTERCALL_MESSAGE_KEY")
    chunk = Chunk.from_message(argument)
    _check_header(headers.get(JOBS_HEADER), chunk)
    return chunk


def build_envelope(chunk: Chunk, queue: str, key: str = "") -> bytes:
    """A new Celery message, raw, that holds this chunk and was sent to this queue. Signed if a key is given."""
    task_id = str(uuid.uuid4())
    # The body comes first: the ids in the headers are looked for at a message's end.
    message = {
        "body": base64.b64encode(json.dumps(_body(chunk, key)).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(chunk, task_id),
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(message).encode()


def describe_arguments(chunk: Chunk) -> str:
    """What monitors show in place of the arguments, which are customers' words."""
    return f"({len(chunk.jobs)} conversations)"


def jobs_header(chunk: Chunk) -> dict[str, str]:
    """The header from which the ids of the jobs are read without the body."""
    return {JOBS_HEADER: format_job_ids(job.job_id for job in chunk.jobs)}


def _body(chunk: Chunk, key: str) -> list[Any]:
    return [[sign(chunk.to_message(), key)], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]


def _headers(chunk: Chunk, task_id: str) -> dict[str, Any]:
    return {
        "lang": "py",
        "task": TASK_NAME,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": describe_arguments(chunk),
        "kwargsrepr": "{}",
        "origin": "aftercall",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        **jobs_header(chunk),
    }


def _parse(raw: bytes | str, what: str) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise MessageError(f"{what} that is not JSON") from None


def _decode(body: object) -> object:
    if not isinstance(body, str):
        raise MessageError("a message without a body")
    try:
        decoded = base64.b64decode(body, validate=True)
    except ValueError:
        raise MessageError("a message whose body is not JSON in base64") from None
    return _parse(decoded, "a message with a body")


def _only_argument(body: object) -> object:
    """The task's argument. Keyword arguments, callbacks and chains would be calls that someone else wants made."""
    match body:
        case [[argument], dict(keywords), dict(embedded)] if not keywords and not any(embedded.values()):
            return argument
    raise MessageError("a message whose body is not one argument for the task")


def _check_header(header: object, chunk: Chunk) -> None:
    """Older versions send none. One that names other jobs would hide these from the search for lost messages."""
    if header is None:
        return
    try:
        is_right = isinstance(header, str) and parse_job_ids(header) == [job.job_id for job in chunk.jobs]
    except ValueError:
        is_right = False
    if not is_right:
        raise MessageError(f"a message whose header {JOBS_HEADER} names other jobs than its body")
