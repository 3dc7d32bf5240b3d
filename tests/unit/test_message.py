"""What travels through Redis, and how jobs are grouped into it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.message import MESSAGE_VERSION, Chunk, ChunkJob, MessageError, form_chunks, parse_job_ids

jobs = st.lists(st.builds(ChunkJob, st.integers(1, 2**62), st.text(max_size=60)), max_size=40)


@given(jobs)
def test_a_chunk_survives_the_way_through_json(jobs: list[ChunkJob]) -> None:
    chunk = Chunk(tuple(jobs))
    # Lone surrogates do not: cleaning has taken them out before.
    assert Chunk.from_message(json.loads(json.dumps(chunk.to_message()))) == chunk


@given(jobs, st.integers(1, 10), st.integers(40, 400))
def test_chunks_hold_every_job_once_in_order_and_keep_their_limits(
    jobs: list[ChunkJob], max_jobs: int, max_bytes: int
) -> None:
    chunks = list(form_chunks(jobs, max_jobs, max_bytes))

    assert [job for chunk in chunks for job in chunk.jobs] == jobs
    for chunk in chunks:
        assert 1 <= len(chunk.jobs) <= max_jobs
        assert len(chunk.jobs) == 1 or sum(len(job.text.encode()) for job in chunk.jobs) <= max_bytes


@given(st.integers(1, 40), st.integers(1, 10))
def test_chunks_are_filled_to_their_limit(num_jobs: int, max_jobs: int) -> None:
    chunks = list(form_chunks([ChunkJob(number, "x") for number in range(num_jobs)], max_jobs, 1_000_000))
    assert [len(chunk.jobs) for chunk in chunks[:-1]] == [max_jobs] * (len(chunks) - 1)


def test_another_version_is_refused() -> None:
    with pytest.raises(MessageError, match=r"version 2; this version of aftercall reads 1"):
        Chunk.from_message({"version": MESSAGE_VERSION + 1, "jobs": []})


@pytest.mark.parametrize(
    "body",
    [
        {"version": MESSAGE_VERSION},
        {"version": MESSAGE_VERSION, "jobs": 7},
        {"version": MESSAGE_VERSION, "jobs": [[1]]},
        {"version": MESSAGE_VERSION, "jobs": [["one", "text"]]},
        {"version": MESSAGE_VERSION, "jobs": None},
        {"version": MESSAGE_VERSION, "jobs": [[True, "text"]]},
        {"version": MESSAGE_VERSION, "jobs": [[0, "text"]]},
        {"version": MESSAGE_VERSION, "jobs": [[2**63, "text"]]},
        {"version": MESSAGE_VERSION, "jobs": [[[1], "text"]]},
        {"version": MESSAGE_VERSION, "jobs": [[1, 2]]},
        {"version": MESSAGE_VERSION, "jobs": [[1, "text"]] * 513},
        {"version": True, "jobs": []},
        {},
        None,
        "a string",
        [1, 2],
    ],
)
def test_what_is_no_message_is_refused(body: object) -> None:
    with pytest.raises(MessageError):
        Chunk.from_message(body)


@pytest.mark.parametrize(
    "header", [",", "1,", "1,,2", " 1", "1 ", "+1", "1_0", "٣", "0", "01", str(2**63), "1," * 600 + "1"]
)
def test_a_header_is_ids_and_nothing_else(header: str) -> None:
    with pytest.raises(ValueError, match="not a list of job ids"):
        parse_job_ids(header)


def test_a_version_with_control_characters_is_shown_escaped() -> None:
    with pytest.raises(MessageError) as refused:
        Chunk.from_message({"version": "\x1b]0;title\x07\n2026 INFO all is well", "jobs": []})
    assert str(refused.value).isprintable()
    assert "\\x1b]0;title" in str(refused.value)
