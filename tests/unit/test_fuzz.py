"""Ugly inputs, for a few seconds (`python -m bench.fuzz` goes on for longer), and those that broke something once."""

from random import Random
from typing import Any

import pytest

from bench.fuzz.__main__ import TARGETS
from bench.fuzz.harness import Findings, Target, breakage, fuzz
from bench.fuzz.manifests import MANIFESTS
from bench.fuzz.messages import MESSAGES
from bench.fuzz.sources import SOURCES


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_ugly_inputs_break_nothing(target: Target) -> None:
    found = fuzz(target, Random(0), lambda findings: findings.num_inputs == 300)
    assert found.broken == {}
    # Each end was come to.
    assert found.num_rows
    assert found.num_refused or found.num_rejected or target.name == "cells"


def test_what_breaks_is_found_out_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.fuzz.sources.clean_conversation", lambda conversation: conversation)
    # How small it gets is not to hang on how quick the machine is.
    monkeypatch.setattr("bench.fuzz.harness.MAX_SHRINK_S", 60.0)
    found = fuzz(SOURCES, Random(0), lambda findings: bool(findings.broken))
    [(data, _)] = found.broken.values()
    assert len(data) < 200


@pytest.mark.parametrize(
    ("target", "data", "told"),
    [
        # The message offered the header's words to be typed, whatever they were.
        (SOURCES, b'{"ticket_id":\x0b"1", "inbound": true, "text": "a b"}', {"delimiter": ","}),
        (SOURCES, b"con" + b"ve" * 5_000, {}),
        # The csv module's complaint names the delimiter as it is.
        (SOURCES, b'conversationid\ttext\t\n""{', {}),
        # One NUL made the whole file one of no text.
        (SOURCES, b"id,transcript\n1,user: a\n2,user: \0\n", {}),
        # A column that is recognized, and is then spelt otherwise.
        (SOURCES, '{"tweetid":"","inbound":true,"text":"","replyt\u2028o":null}'.encode(), {}),
        # Too deep for the parser, where erase looks into what was delivered.
        (MESSAGES, b"[" * 1_000, {"key": ""}),
        # A whole number that no float holds.
        (MANIFESTS, b'{"r": 4, "lora_alpha": 1' + b"0" * 400 + b"}", {"file": "adapter_config.json"}),
        # Too deep for the parser.
        (MANIFESTS, b'{"r": ' + b"[" * 100_000, {"file": "adapter_config.json"}),
        (MANIFESTS, b"[" * 100_000, {"file": "manifest.json"}),
        # A key that would be printed as it is.
        (MANIFESTS, '{"a\x85b": 1, "r": 4, "lora_alpha": 8}'.encode(), {"file": "adapter_config.json"}),
        (MANIFESTS, b"[" * 100_000, {"file": "config.json"}),
    ],
)
def test_what_broke_once_is_taken_well(target: Target, data: bytes, told: dict[str, Any]) -> None:
    assert breakage(target, data, told, Findings()) is None
