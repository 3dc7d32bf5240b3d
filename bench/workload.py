"""The workload of the engine's benchmarks: prompts as long as TweetSumm's, and models to run them on."""

import json
import random
from pathlib import Path
from typing import Any

from aftercall.prompt import build_prompt

TWEETSUMM = Path(__file__).resolve().parents[2] / "shared" / "data" / "tweetsumm"

#: Mean prompt length of TweetSumm with Phi-1.5's tokenizer; other tokenizers' lengths are scaled to it.
PHI_MEAN_TOKENS = 303


def read_conversations(name: str = "validation.jsonl", folder: Path = TWEETSUMM) -> list[str]:
    """The dialogues of one TweetSumm file, as `speaker: text` lines."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not there: put TweetSumm's train.jsonl and validation.jsonl into it.")
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return [_render(json.loads(line)["log"]) for line in lines]


def _render(log: list[dict[str, str]]) -> str:
    turns = []
    for entry in log:
        for speaker, column in (("user", "user utterance"), ("agent", "system response")):
            words = " ".join(entry[column].split())
            if words:
                turns.append(f"{speaker}: {words}")
    return "\n".join(turns)


def tokenize(conversations: list[str], tokenizer: Any) -> list[list[int]]:
    """Their prompts as token ids."""
    return [tokenizer(build_prompt(text))["input_ids"] for text in conversations]


def random_prompts(lengths: list[int], num_prompts: int, vocab_size: int, seed: int = 0) -> list[list[int]]:
    """Prompts of random tokens, their lengths drawn from `lengths`, behind one shared instruction of 24 tokens."""
    draw = random.Random(seed)
    instruction = [draw.randrange(vocab_size) for _ in range(24)]
    prompts = []
    for _ in range(num_prompts):
        length = draw.choice(lengths)
        prompts.append((instruction + [draw.randrange(vocab_size) for _ in range(length)])[:length])
    return prompts


def read_lengths(path: Path | None, tokenizer: Any = None) -> list[int]:
    """Prompt lengths from a JSON list, or from TweetSumm itself through `tokenizer`, scaled to Phi-1.5's mean."""
    if path is not None:
        lengths: list[int] = json.loads(path.read_text(encoding="utf-8"))
        return lengths
    conversations = read_conversations("train.jsonl") + read_conversations()
    counts = [len(ids) for ids in tokenize(conversations, tokenizer)]
    scale = PHI_MEAN_TOKENS * len(counts) / sum(counts)
    return [round(count * scale) for count in counts]


def phi_config(num_layers: int = 24, **token_ids: int | None) -> Any:
    """Phi-1.5's exact configuration; `token_ids` such as `eos_token_id` are the tokenizer's."""
    from transformers import PhiConfig

    return PhiConfig(
        vocab_size=51200,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=num_layers,
        num_attention_heads=32,
        max_position_embeddings=2048,
        partial_rotary_factor=0.5,
        **token_ids,
    )


def random_phi(device: Any, dtype: Any) -> Any:
    """A model of Phi-1.5's exact shape with random weights: as fast as the real one, and no download."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(phi_config(), dtype=dtype).eval()
