"""The engine where memory is short: capped as if the card were small, or taken away after the plan was made."""

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from tests.gpu.judging import PHI, WatchedEngine, judge, random_model, random_prompts, tokens_of  # noqa: E402
from worker.engine.base import PromptFailure  # noqa: E402
from worker.engine.memory.kv_cache import free_bytes  # noqa: E402
from worker.engine.options import EngineOptions  # noqa: E402

pytestmark = pytest.mark.gpu

MIB = 2**20


@pytest.fixture(autouse=True)
def uncapped() -> Iterator[None]:
    torch.cuda.empty_cache()
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def cap(num_bytes: int) -> None:
    """Let this process take so many bytes more than it holds."""
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + num_bytes) / total)


def test_the_plan_stays_inside_the_cap() -> None:
    model = random_model(PHI, torch.bfloat16)
    cap(512 * MIB)
    assert free_bytes(torch.device("cuda", 0)) < 540 * MIB
    engine = WatchedEngine(model, 20, EngineOptions(64, 1024, 512))
    prompts = random_prompts(200)
    assert all(len(tokens) == 20 for tokens in tokens_of(engine.generate(prompts)))
    assert engine.runner.num_out_of_memory == 0
    engine.close()


def test_sequences_make_room_for_each_other_and_answer_as_well() -> None:
    torch.manual_seed(0)
    model = random_model(PHI, torch.bfloat16)
    # Room for about half of what 512 sequences will grow to.
    cap(512 * MIB)
    engine = WatchedEngine(model, 120, EngineOptions(512, 2048, 512, max_model_len=512, memory_share=0.6))
    prompts = random_prompts(600)
    completions = tokens_of(engine.generate(prompts))
    num_preempted = engine.runner.num_prefilled - len(prompts)
    engine.close()
    torch.cuda.set_per_process_memory_fraction(1.0)
    assert num_preempted > 0, f"{engine.runner.num_pages} pages were enough: the test shows nothing"
    assert engine.runner.num_out_of_memory == 0
    judge(model, random_model(PHI, torch.bfloat16).float(), prompts[:40], completions[:40]).check()


def test_memory_that_vanishes_halves_the_steps_and_loses_nobody() -> None:
    torch.manual_seed(0)
    # Graphs hold their memory from the start.
    options = EngineOptions(128, 16384, 1, memory_share=0.01, is_captured=False)
    engine = WatchedEngine(random_model(PHI, torch.bfloat16), 8, options)
    tokens_of(engine.generate(random_prompts(128, longest=20)))
    # A prefill of 12,000 tokens wants tensors of 12 MB, for which the allocator asks the card; one of 1,000 does not.
    cap(12 * MIB)
    completions = tokens_of(engine.generate(random_prompts(128, longest=200)))
    engine.close()
    assert engine.runner.num_out_of_memory > 0, "everything fitted: the test shows nothing"
    assert all(len(tokens) == 8 for tokens in completions)


def test_a_prompt_that_does_not_fit_fails_alone() -> None:
    torch.manual_seed(0)
    model = random_model(type(PHI).from_dict({**PHI.to_dict(), "max_position_embeddings": 16384}), torch.bfloat16)
    options = EngineOptions(16, 16384, 1, max_model_len=16384, memory_share=0.1, is_captured=False)
    engine = WatchedEngine(model, 8, options)
    tokens_of(engine.generate(random_prompts(16, longest=20)))
    cap(12 * MIB)
    prompts = random_prompts(10, longest=100)
    outcomes = engine.generate([*prompts[:5], [1] * 16000, *prompts[5:]])
    engine.close()
    failure = outcomes.pop(5)
    assert isinstance(failure, PromptFailure)
    assert failure.code == "out_of_memory"
    assert all(len(tokens) == 8 for tokens in tokens_of(outcomes))
