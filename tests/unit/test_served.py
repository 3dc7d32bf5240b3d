"""What is served at a moment, and its swap while calls run."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.fixtures.scripted_worker import CharacterTokenizer, ScriptedEngine, ScriptedModel
from tests.fixtures.workers import TIMEOUT_S, wait_until
from worker.engine.base import PromptFailure, SamplingSettings
from worker.serving.served import Served, Serving


def make_serving() -> Serving:
    model: Any = ScriptedModel(adapter_digest="old")
    return Serving(Served(ScriptedEngine(None, None), CharacterTokenizer(), model, SamplingSettings()))


def test_a_call_ends_under_the_adapter_under_which_it_began() -> None:
    """A swap waits for the call, and the next call waits for the swap."""
    serving = make_serving()
    seen: list[str] = []

    def change() -> Any:
        seen.append("change")
        return replace(serving.now.provenance, adapter_digest="new")

    def call() -> None:
        with serving.using() as served:
            seen.append(served.columns["adapter_digest"])

    with serving.using() as served:
        swapping = threading.Thread(target=serving.swap, args=(change,))
        swapping.start()
        wait_until(lambda: serving._isolation._num_exclusive, "the swap requested before the late call")
        late = threading.Thread(target=call)
        late.start()
        late.join(0.05)
        assert seen == []
        assert served.columns["adapter_digest"] == "old"
    swapping.join(TIMEOUT_S)
    late.join(TIMEOUT_S)
    assert seen == ["change", "new"]


def test_a_swap_that_fails_closes_the_engine() -> None:
    """Half of one adapter and half of another writes no summary."""
    serving = make_serving()

    def break_off() -> Any:
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        serving.swap(break_off)
    with serving.using() as served:
        [outcome] = served.engine.generate([[1, 2]])
    assert isinstance(outcome, PromptFailure)
    assert outcome.code == "aborted"
