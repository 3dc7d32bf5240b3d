"""The broker message format: a chunk of jobs with their cleaned conversations, as versioned plain JSON."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aftercall.errors import AftercallError

#: Raised when the body changes: see `queue_name`.
MESSAGE_VERSION = 1

#: Name of the Celery task that takes a chunk. The producer sends by name and imports no worker.
TASK_NAME = "aftercall.summarize"

#: The largest id that both databases can store.
MAX_JOB_ID = 2**63 - 1

#: Jobs that a message may hold, whoever sent it; the setting chunk_size goes no higher.
MAX_CHUNK_JOBS = 512

#: Name of the message header with the ids of the jobs, so that they can be read without the body.
JOBS_HEADER = "aftercall_jobs"


def queue_name(queue: str) -> str:
    """The queue of this version's messages. Each version has its own, so no worker meets a message newer than itself.

    Old and new workers can therefore run side by side. Messages in a queue that no worker reads any more count as
    lost: the sweep of the other version sends their jobs again.
    """
    return queue if MESSAGE_VERSION == 1 else f"{queue}.v{MESSAGE_VERSION}"


class MessageError(AftercallError):
    """A message that this version cannot read."""


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """One job in a message."""

    job_id: int
    #: The cleaned conversation, rendered.
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """The jobs of one message."""

    jobs: tuple[ChunkJob, ...]

    def to_message(self) -> dict[str, Any]:
        """The message's body, JSON-serializable."""
        return {"version": MESSAGE_VERSION, "jobs": [[job.job_id, job.text] for job in self.jobs]}

    @staticmethod
    def from_message(body: object) -> "Chunk":
        """Read a message's body. Nothing in it is trusted: whoever can write to Redis can send one.

        Raises MessageError if the version, the shape, a type or a range is wrong. The error quotes no conversation.
        """
        if not isinstance(body, Mapping):
            raise MessageError("a message that is not a JSON object")
        version = body.get("version")
        if version != MESSAGE_VERSION or isinstance(version, bool):
            # Its repr, shortened: a version may be anything, such as a terminal's control sequence.
            raise MessageError(
                f"a message of version {ascii(version)[:40]}; this version of aftercall reads {MESSAGE_VERSION}"
            )
        jobs = body.get("jobs")
        if not isinstance(jobs, list):
            raise MessageError("a message without a list of jobs")
        if len(jobs) > MAX_CHUNK_JOBS:
            raise MessageError(f"a message with {len(jobs):,} jobs; at most {MAX_CHUNK_JOBS} are allowed")
        return Chunk(tuple(map(_read_job, jobs)))


def _read_job(entry: object) -> ChunkJob:
    match entry:
        case [int(job_id), str(text)] if is_job_id(job_id):
            return ChunkJob(job_id, text)
    raise MessageError(f"a message with a job that is not [id, text], with an id of 1 to {MAX_JOB_ID}")


def is_job_id(value: object) -> bool:
    """Whether this can be the id of a job. A bool is an int to Python, and is none."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_JOB_ID


def format_job_ids(job_ids: Iterable[int]) -> str:
    """The ids as the header carries them."""
    return ",".join(map(str, job_ids))


def parse_job_ids(header: str) -> list[int]:
    """The ids in a header. Raises ValueError if it holds anything else."""
    # Checked before int(), which also takes spaces, signs, underscores and digits of other scripts.
    ids = [int(part) for part in header.split(",") if part.isascii() and part.isdigit() and len(part) <= 19]
    if len(ids) > MAX_CHUNK_JOBS or format_job_ids(ids) != header or not all(map(is_job_id, ids)):
        raise ValueError("not a list of job ids")
    return ids


def form_chunks(jobs: Iterable[ChunkJob], max_jobs: int, max_bytes: int) -> Iterator[Chunk]:
    """Group jobs, in their order, into chunks of at most `max_jobs` jobs and about `max_bytes` bytes.

    A job larger than `max_bytes` gets a chunk of its own.
    """
    held: list[ChunkJob] = []
    held_bytes = 0
    for job in jobs:
        size = len(job.text.encode()) + 32
        if held and (len(held) == max_jobs or held_bytes + size > max_bytes):
            yield Chunk(tuple(held))
            held, held_bytes = [], 0
        held.append(job)
        held_bytes += size
    if held:
        yield Chunk(tuple(held))
