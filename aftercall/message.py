"""What travels through Redis: a chunk of jobs with their cleaned conversations. Typed and versioned, plain JSON."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aftercall.errors import AftercallError

#: Raised when the body changes: see `queue_name`.
MESSAGE_VERSION = 1

#: Name of the Celery task that takes a chunk; the producer sends by name and imports no worker.
TASK_NAME = "aftercall.summarize"


def queue_name(queue: str) -> str:
    """The queue of this version's messages: each has its own, so that no worker meets one newer than itself.

    Old and new workers may so run side by side. What lies in a queue that nobody reads any more, the sweep of the
    others takes for lost, and sends again as they read it.
    """
    return queue if MESSAGE_VERSION == 1 else f"{queue}.v{MESSAGE_VERSION}"


class MessageError(AftercallError):
    """A message that this version cannot read."""


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """One job as it travels."""

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
        """Read a message's body.

        Raises MessageError if the version or the shape is another.
        """
        if not isinstance(body, Mapping):
            raise MessageError("a message that is no JSON object; its jobs are in the ledger and will be sent again.")
        version = body.get("version")
        if version != MESSAGE_VERSION:
            raise MessageError(
                f"a message of version {version} reached a worker that reads version {MESSAGE_VERSION}. "
                "It is left to a worker of that version: its jobs are in the ledger and will be sent again."
            )
        try:
            return Chunk(tuple(ChunkJob(int(job_id), str(text)) for job_id, text in body["jobs"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MessageError(f"a message without readable jobs ({error}); its jobs will be sent again.") from None


def form_chunks(jobs: Iterable[ChunkJob], max_jobs: int, max_bytes: int) -> Iterator[Chunk]:
    """Group jobs, in their order, into chunks of at most `max_jobs` jobs and about `max_bytes` bytes.

    A job larger than `max_bytes` travels in a chunk of its own.
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
