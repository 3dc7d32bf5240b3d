"""Evaluates a loaded model: the worker's own prompt, engine and decoding write the summaries that are judged."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from training.data.dataset import Example
from training.judge.baselines import with_baselines
from training.judge.judgement import Judgement, judge
from training.judge.loss import ReferenceLoss, measure_loss
from worker.engine import start_engine
from worker.engine.base import SamplingSettings
from worker.jobs.tries import Asked, Attempt, complete
from worker.loading.load import LoadedModel, ModelProvenance
from worker.loading.precision import Quantization
from worker.serving.prompts import PromptEncoder
from worker.serving.served import Served, Tries

#: Conversations per step in steps/s: the notebook's evaluation batch size.
STEP_SIZE = 4


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A judgement of what one model writes, with its loss and run time."""

    judgement: Judgement
    loss: ReferenceLoss
    runtime_s: float
    provenance: ModelProvenance

    def figures(self) -> dict[str, float]:
        """The figures under the names that the notebook prints."""
        num_examples = self.judgement.num_conversations
        return {
            "eval_loss": self.loss.loss,
            "perplexity": self.loss.perplexity,
            "eval_runtime": self.runtime_s,
            "eval_samples_per_second": num_examples / self.runtime_s,
            "eval_steps_per_second": math.ceil(num_examples / STEP_SIZE) / self.runtime_s,
        }


def evaluate(
    name: str,
    loaded: LoadedModel,
    examples: Sequence[Example],
    sampling: SamplingSettings,
    quantization: Quantization,
    tries: Tries = "off",
) -> Evaluation:
    """Summarize every conversation with a loaded model as a worker would, and judge the summaries.

    A conversation that the engine refuses counts as an empty summary. `quantization` is the setting, not its result.
    """
    max_prompt_tokens = loaded.model.config.max_position_embeddings - sampling.max_new_tokens
    loss = measure_loss(loaded, examples, max_prompt_tokens)
    start = time.perf_counter()
    summaries = _summarize(loaded, examples, sampling, tries)
    runtime_s = time.perf_counter() - start
    # The setting rather than its result: under `auto`, two adapters may be served on differently stored weights, and
    # each is judged as it would be served.
    written_as = f"quantization {quantization}, {loaded.provenance.dtype}; {_format_sampling(sampling, tries)}"
    judgement = with_baselines(judge(name, summaries, examples, written_as), examples)
    return Evaluation(judgement, loss, runtime_s, loaded.provenance)


def _summarize(loaded: LoadedModel, examples: Sequence[Example], sampling: SamplingSettings, tries: Tries) -> list[str]:
    engine = start_engine(loaded, sampling)
    try:
        served = Served(engine, loaded.tokenizer, loaded.provenance, sampling, profile=loaded.profile, tries=tries)
        encoder = PromptEncoder(loaded.tokenizer, loaded.profile)
        asked = [
            Asked(example.conversation.turns, encoder.encode(example.text, engine.max_prompt_tokens))
            for example in examples
        ]
        results = complete(served, asked, engine.generate)
    finally:
        engine.close()
    return [result.checked.written.text if isinstance(result, Attempt) else "" for result in results]


def _format_sampling(sampling: SamplingSettings, tries: Tries) -> str:
    drawn = (
        f"drawn with top_k {sampling.top_k}, top_p {sampling.top_p}, temperature {sampling.temperature}, "
        f"seed {sampling.seed}"
    )
    several = "" if tries == "off" else f", best of {sampling.num_samples + 1} ({tries})"
    return f"{drawn if sampling.do_sample else 'greedy'}, at most {sampling.max_new_tokens} tokens{several}"
