"""What drafting from the prompt would save: decode steps and tokens computed in vain, by arithmetic, without a model.

    python -m bench.prompt_lookup                     # the shipped adapter's summaries of TweetSumm's validation
    python -m bench.prompt_lookup --references        # the people's summaries, there and in datasets/service

Before each step, the last tokens are looked for in the prompt and in the completion so far; the tokens behind the
latest match are the draft. A step verifies a draft in one pass and keeps what the model would have written itself, and
one token more, so the summaries stay as they are, and the steps can be counted from finished ones.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from aftercall.settings import PACKAGED_MODEL
from bench.workload import TWEETSUMM
from training.data.dataset import Example, load_examples
from worker.loading.base_model import find_base_model
from worker.serving.prompts import PromptEncoder

ROOT = Path(__file__).resolve().parents[1]

Pair = tuple[list[int], list[int]]


@dataclass(slots=True)
class Count:
    """Steps of many completions with drafts. The first token of each comes out of the prefill."""

    num_tokens: int = 0
    num_steps: int = 0
    num_drafted: int = 0
    num_kept: int = 0

    def __str__(self) -> str:
        per_step = self.num_tokens / self.num_steps
        computed = (self.num_steps + self.num_drafted) / self.num_tokens
        kept = 100 * self.num_kept / max(1, self.num_drafted)
        return f"{per_step:5.2f} tokens a step, {computed:5.2f} computed for each kept, {kept:3.0f}% of drafts kept"


def count_steps(pairs: Iterable[Pair], min_match: int, draft: int) -> Count:
    """Decode `pairs` of prompt and completion with drafts of at most `draft` tokens behind `min_match` equal ones."""
    count = Count()
    for prompt, completion in pairs:
        done = 1
        while done < len(completion):
            drafted = look_up([*prompt, *completion[:done]], min_match, draft)
            kept = count_equal(drafted, completion[done:])
            # The verifying pass has one more token to give, unless the completion ended inside the draft.
            ended = min(done + kept + 1, len(completion))
            count.num_steps += 1
            count.num_drafted += len(drafted)
            count.num_kept += kept
            count.num_tokens += ended - done
            done = ended
    return count


def look_up(tokens: Sequence[int], min_match: int, draft: int) -> list[int]:
    """What follows the latest earlier place of the last tokens: of three if there is one, else of fewer."""
    for length in range(3, min_match - 1, -1):
        wanted = tokens[-length:]
        for start in range(len(tokens) - length - 1, -1, -1):
            if tokens[start : start + length] == wanted:
                return list(tokens[start + length : start + length + draft])
    return []


def count_equal(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens two lists have in common at their start."""
    equal = (one == other for one, other in zip(left, right, strict=False))
    return next((place for place, is_equal in enumerate(equal) if not is_equal), min(len(left), len(right)))


def own_summaries(adapter: Path, examples: Sequence[Example]) -> Iterator[tuple[Example, str]]:
    """What the adapter wrote when it was judged, with its conversation."""
    verdicts = json.loads((adapter / "evaluation.json").read_text(encoding="utf-8"))["verdicts"]
    summaries = {verdict["conversation_id"]: verdict["summary"] for verdict in verdicts}
    for example in examples:
        if example.conversation.external_id in summaries:
            yield example, summaries[example.conversation.external_id]


def workloads(with_references: bool) -> Iterator[tuple[str, list[tuple[Example, str]]]]:
    """Name and summaries of each workload."""
    validation = load_examples(str(TWEETSUMM), "validation")
    if not with_references:
        [adapter] = (path.parent for path in (ROOT / "adapters").glob("*/evaluation.json"))
        yield "the shipped adapter's, TweetSumm validation", list(own_summaries(adapter, validation))
        return
    yield "people's, TweetSumm validation", [(each, each.references[0]) for each in validation]
    service = load_examples(str(ROOT / "datasets" / "service"), "train")
    yield "people's, datasets/service train", [(each, each.references[0]) for each in service]


def load_encoder() -> PromptEncoder:
    """The packaged model's."""
    from transformers import AutoTokenizer

    base = find_base_model(PACKAGED_MODEL, Path(gettempdir()) / "aftercall-bench")
    tokenizer: Any = AutoTokenizer.from_pretrained(base.folder)
    return PromptEncoder(tokenizer)


def main() -> None:
    """Print one line for each workload and way of drafting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", action="store_true", help="summaries of people instead of the adapter's")
    args = parser.parse_args()
    encoder = load_encoder()
    for name, summaries in workloads(args.references):
        prompts = encoder.encode_whole([example.text for example, _ in summaries])
        completions = [encoder.encode_completion(f" {summary}") for _, summary in summaries]
        pairs = list(zip(prompts, completions, strict=True))
        print(f"{name}: {len(pairs)} summaries of {sum(map(len, completions)) / len(pairs):.1f} tokens")
        for min_match in (1, 2, 3):
            for draft in (1, 2, 4, 8):
                print(f"  match {min_match}, draft {draft}: {count_steps(pairs, min_match, draft)}")


if __name__ == "__main__":
    main()
