"""Signatures of messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.message import Chunk, ChunkJob
from aftercall.signing import SIGNATURE, is_genuine, sign

KEY = "k" * 32

BODY = Chunk((ChunkJob(1, "user: hello\n"), ChunkJob(2, "user: bye\n"))).to_message()


@given(st.lists(st.tuples(st.integers(1, 2**63 - 1), st.text()), max_size=4))
def test_a_signed_message_is_genuine_after_its_way_through_redis(jobs: list[tuple[int, str]]) -> None:
    body = Chunk(tuple(ChunkJob(*job) for job in jobs)).to_message()
    assert is_genuine(json.loads(json.dumps(sign(body, KEY))), KEY)


def change_text(body: dict[str, Any]) -> None:
    body["jobs"][0][1] = "user: pay me\n"


def change_id(body: dict[str, Any]) -> None:
    body["jobs"][0][0] = 3


def drop_a_job(body: dict[str, Any]) -> None:
    body["jobs"].pop()


def add_a_field(body: dict[str, Any]) -> None:
    body["more"] = 1


def drop_the_signature(body: dict[str, Any]) -> None:
    del body[SIGNATURE]


def replace_the_signature(body: dict[str, Any]) -> None:
    body[SIGNATURE] = ["é"]


@pytest.mark.parametrize(
    "change", [change_text, change_id, drop_a_job, add_a_field, drop_the_signature, replace_the_signature]
)
def test_a_changed_message_is_not_genuine(change: Any) -> None:
    body = json.loads(json.dumps(sign(BODY, KEY)))
    change(body)
    assert not is_genuine(body, KEY)


def test_a_message_signed_with_another_key_is_not_genuine() -> None:
    assert not is_genuine(sign(BODY, "o" * 32), KEY)


def test_without_a_key_messages_are_neither_signed_nor_checked() -> None:
    assert sign(BODY, "") == BODY
    assert is_genuine(BODY, "")
    assert is_genuine(sign(BODY, KEY), "")
