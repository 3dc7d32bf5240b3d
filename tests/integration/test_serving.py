"""What a worker makes of its settings before it takes work."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from sqlalchemy import Engine, insert
from transformers import AutoModelForCausalLM, AutoTokenizer

from aftercall import schema
from aftercall.database import connect
from aftercall.errors import SettingsError
from aftercall.models import Adapter
from aftercall.settings import Settings
from worker.engine.base import Completion
from worker.serving.prompts import PromptEncoder
from worker.serving.start import choose_adapter, load_served


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path / 'aftercall.db'}")
    schema.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tiny_model_dir: Path, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, base_model=str(tiny_model_dir))


def test_completions_that_leave_no_room_for_a_conversation_end_the_start(settings: Settings, database: Engine) -> None:
    """Every conversation of the night would fail for good, each by itself."""
    greedy = settings.model_copy(update={"max_new_tokens": 4096})
    with pytest.raises(SettingsError, match=r"AFTERCALL_MAX_NEW_TOKENS=4096 leaves no room .* set a smaller one"):
        load_served(greedy, database, "cpu")


def test_an_adapter_of_the_same_model_under_another_name_is_spoken_of(
    settings: Settings, database: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_adapter(settings, database) is None
    assert not caplog.text
    row = {"digest": "0123456789abcdef", "base_model": "someone/tiny-llama", "state": "active", "manifest": "{}"}
    with database.begin() as connection:
        connection.execute(insert(Adapter).values(row | {"path": "/elsewhere", "created_at": 0.0}))
    assert choose_adapter(settings, database) is None
    assert "no adapter is active for tiny-llama, but one is for someone/tiny-llama" in caplog.text


def test_a_short_context_is_spoken_of(settings: Settings, database: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """The tiny model reads 256 bytes, and the instruction takes most of them."""
    served = load_served(settings.model_copy(update={"max_new_tokens": 4}), database, "cpu")
    served.engine.close()
    assert "tiny-llama reads " in caplog.text
    assert "Longer conversations are cut" in caplog.text


def test_a_long_conversation_goes_through_whole_where_the_setting_and_the_model_allow(
    tiny_model_dir: Path, database: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A tiny model with a context of 8,192 tokens: the default cuts at 2,048, 6,000 cut at 6,000, 9,000 at 8,192."""
    folder = shutil.copytree(tiny_model_dir, tmp_path / "long")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    text = "\n".join(f"{'user' if turn % 2 else 'agent'}: this is turn number {turn} of many" for turn in range(200))
    coverages = {}
    for max_model_len in (2048, 6000, 9000):
        settings = Settings(data_dir=tmp_path, base_model=str(folder), max_new_tokens=8, max_model_len=max_model_len)
        served = load_served(settings, database, "cpu")
        assert served.engine.max_prompt_tokens == min(max_model_len, 8192) - 8
        prompt = PromptEncoder(served.tokenizer, served.profile).encode(text, served.engine.max_prompt_tokens)
        coverages[max_model_len] = prompt.coverage
        [outcome] = served.engine.generate([prompt.token_ids])
        served.engine.close()
        assert isinstance(outcome, Completion)
        assert outcome.num_prompt_tokens == len(prompt.token_ids) <= max_model_len - 8
        if max_model_len == 9000:
            assert outcome.text == generate_text(folder, prompt.token_ids)
    assert coverages[2048] < coverages[6000] < coverages[9000] == 1
    assert "context of 8192 tokens, less than AFTERCALL_MAX_MODEL_LEN=9000: longer conversations are cut" in caplog.text


def generate_text(folder: Path, token_ids: list[int]) -> str:
    """transformers' own eight tokens behind a prompt."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    output = model.generate(torch.tensor([token_ids]), max_new_tokens=8, do_sample=False, pad_token_id=0)
    text: str = tokenizer.decode(output[0, len(token_ids) :], skip_special_tokens=True)
    return text
