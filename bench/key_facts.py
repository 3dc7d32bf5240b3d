"""How many key facts of a labelled set a model's summaries hold, and how many state a listed false claim.

Run as `python -m bench.key_facts [--set datasets/service/test.jsonl] [--num N]`; the settings AFTERCALL_* say which
model and adapter, and how often each conversation is tried.

A fact is held if one of its patterns is found. A claim is stated if one of its patterns is found and not denied in the
same clause. Recall is by weight; the interval is the bootstrap's, over conversations.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from aftercall.settings import load_settings
from training.data.dataset import Example, load_examples
from training.judge.bootstrap import mean_intervals, ratio_interval
from worker.engine import start_engine
from worker.jobs.tries import Asked, Attempt, complete
from worker.loading.load import ModelSettings, load_model
from worker.serving.prompts import PromptEncoder
from worker.serving.served import Served
from worker.serving.start import make_sampling

_DENIAL = re.compile(
    r"\b(no|not|never|without|nobody|none|neither|nor|cannot|instead of|rather than|refus\w*|declin\w*|"
    r"den(?:y|ied|ies)|unable|fail\w*|reject\w*|whether|if|unless|avoid\w*)\b|n['’]t\b",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.;:!?](?:\s|$)|\b(?:but|however|although|though|yet)\b", re.IGNORECASE)
#: Characters before a claim in which a denial counts.
_REACH = 45


def main() -> None:
    """Print the figures of one set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", type=Path, default=Path("datasets/service/test.jsonl"))
    parser.add_argument("--num", type=int, help="Only the first so many conversations.")
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.set.read_text(encoding="utf-8").splitlines()][: options.num]
    results = summarize(load_examples(str(options.set.parent), options.set.stem)[: options.num])
    summaries = [result.checked.written.text if isinstance(result, Attempt) else "" for result in results]
    held = [weigh_held(row, summary) for row, summary in zip(rows, summaries, strict=True)]
    totals = [sum(fact["weight"] for fact in row["key_facts"]) for row in rows]
    shares = {
        "with a listed false claim": [float(claims(row, text)) for row, text in zip(rows, summaries, strict=True)],
        "flagged for review": [
            float(isinstance(result, Attempt) and result.checked.verdict.needs_review) for result in results
        ],
    }
    recall = ratio_interval(held, totals)
    print(f"{len(rows)} conversations")
    print(f"key facts held, by weight: {recall.mean:.3f} ({recall.low:.3f} to {recall.high:.3f})")
    for name, share in mean_intervals(shares).items():
        print(f"{name}: {share.mean:.1%} ({share.low:.1%} to {share.high:.1%})")


def summarize(examples: list[Example]) -> list[Any]:
    """What a worker with these settings and the shipped adapter would make of each conversation."""
    from adapters import find_shipped

    settings = load_settings()
    adapter = find_shipped(settings.base_model) if settings.adapter == "auto" else Path(settings.adapter)
    loaded = load_model(
        ModelSettings(
            settings.base_model,
            settings.quantization,
            settings.compute_dtype,
            adapter if settings.adapter != "none" else None,
            "auto",
            settings.data_dir,
            may_dequantize=True,
            profile=settings.profile,
        )
    )
    sampling = make_sampling(settings, loaded.profile)
    engine = start_engine(loaded, sampling)
    encoder = PromptEncoder(loaded.tokenizer, loaded.profile)
    served = Served(engine, loaded.tokenizer, loaded.provenance, sampling, profile=loaded.profile, tries=settings.tries)
    asked = [Asked(each.conversation.turns, encoder.encode(each.text, engine.max_prompt_tokens)) for each in examples]
    try:
        return complete(served, asked, engine.generate)
    finally:
        engine.close()


def weigh_held(row: dict[str, Any], summary: str) -> float:
    """The weight of the key facts that a summary holds."""
    return float(sum(fact["weight"] for fact in row["key_facts"] if _is_found(fact["any_of"], summary)))


def claims(row: dict[str, Any], summary: str) -> bool:
    """Whether a summary states one of the false claims."""
    return any(_is_stated(pattern, summary) for claim in row["false_claims"] for pattern in claim["any_of"])


def _is_found(patterns: list[str], summary: str) -> bool:
    return any(re.search(pattern, summary, re.IGNORECASE) for pattern in patterns)


def _is_stated(pattern: str, summary: str) -> bool:
    for found in re.finditer(pattern, summary, re.IGNORECASE):
        clause = _CLAUSE_END.split(summary[max(0, found.start() - _REACH) : found.start()])[-1] or ""
        denies_itself = re.search(r"\b(not|no|never|without)\b|n't|non-|declin|reject|refus|denied", pattern)
        if denies_itself or not (_DENIAL.search(clause) or _DENIAL.search(found[0])):
            return True
    return False


if __name__ == "__main__":
    main()
