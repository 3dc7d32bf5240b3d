"""Results in the shape of OpenAI's Batch API: one line for each request, with its `custom_id`, in the order submitted.

A script that was made for a hosted batch reads them as it reads the file of a finished batch.
"""

from typing import Any

from aftercall.ledger.account import Result
from aftercall.ledger.work import SummaryRecord
from aftercall.models import JobState

#: The keys of a line.
BATCH_COLUMNS = ("id", "custom_id", "response", "error")

#: Codes and messages of conversations without a summary; of a failed one its own are taken.
_NOT_DONE = {
    JobState.QUEUED: ("batch_expired", "It waits for a worker. Export again when it is done."),
    JobState.RUNNING: ("batch_expired", "A worker has it. Export again when it is done."),
    JobState.CANCELLED: ("batch_cancelled", "It was cancelled before it was summarized."),
    JobState.INSUFFICIENT: ("insufficient_content", "There is nothing to summarize in it."),
}


def to_batch_line(result: Result, submission_id: int, number: int) -> dict[str, Any]:
    """One conversation as a line of a batch's output; `number` counts the lines from 1."""
    request_id = f"batch_req_{submission_id}_{number}"
    line: dict[str, Any] = {"id": request_id, "custom_id": result.external_id, "response": None, "error": None}
    if result.summary is None:
        code, message = _NOT_DONE.get(JobState(result.state), (result.error_code, result.error))
        return line | {"error": {"code": code, "message": message}}
    body = _completion(result.summary, int(result.finished_at or 0))
    return line | {"response": {"status_code": 200, "request_id": request_id, "body": body}}


def _completion(summary: SummaryRecord, created: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": summary.text, "refusal": None}
    return {
        "id": f"chatcmpl-{summary.job_id}",
        "object": "chat.completion",
        "created": created,
        "model": summary.base_model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": summary.finish_reason}],
        "usage": {
            "prompt_tokens": summary.num_prompt_tokens,
            "completion_tokens": summary.num_completion_tokens,
            "total_tokens": summary.num_prompt_tokens + summary.num_completion_tokens,
        },
        # What hosted models call the configuration behind a model is the adapter here.
        "system_fingerprint": summary.adapter_digest or None,
    }
