"""Which jobs wait in the queue, read from the messages' headers so that no conversation travels for it."""

from typing import Any

from aftercall.envelope import read_envelope
from aftercall.message import MessageError, parse_job_ids

#: Messages that the server looks at in one call; other clients wait for it meanwhile.
SLICE = 32

#: For each message of a slice: its header of job ids after a colon, or, from an older version, the whole message.
#: Headers follow the body and are short, so only the end of a message is searched: 512 ids take 10 kB.
_SCRIPT = """
local found = redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2])
for i, message in ipairs(found) do
  local start = string.find(message, '"headers"', -16384, true)
  local ids = start and string.match(message, '"aftercall_jobs": *"([%d,]*)"', start)
  if ids then found[i] = ':' .. ids end
end
return found
"""


class WaitingJobs:
    """Reads the ids of the jobs in a queue."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._read_slice = client.register_script(_SCRIPT)

    def job_ids(self, queue: str) -> set[int]:
        """The jobs of all messages in a queue. A message that is not ours has none. Raises redis.RedisError."""
        found: set[int] = set()
        first = 0
        # Messages are pushed at the front and taken from the back, so none moves to a slice that was already read. One
        # that is pushed meanwhile moves the others back: they are read up to where the queue then ends.
        while entries := self._read_slice(keys=[queue], args=[first, first + SLICE - 1]):
            for entry in entries:
                found.update(read_ids(entry))
            first += SLICE
        return found


def read_ids(entry: bytes) -> list[int]:
    try:
        if entry.startswith(b":"):
            return parse_job_ids(entry[1:].decode())
        return [job.job_id for job in read_envelope(entry).jobs]
    except (MessageError, ValueError):
        return []
