"""What is trained on and what is held out: by conversation, so that no reference leaks into the judgement.

Knows examples and files of them. It knows no tokens and no model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from aftercall.errors import SourceError
from training.dataset import HUB_NAME, Example, load_examples

#: Of a file without splits, one conversation in so many is held out.
HELD_OUT_ONE_IN = 10


@dataclass(frozen=True, slots=True)
class Splits:
    """What to train on, and what to judge and to watch the loss on."""

    train: Sequence[Example]
    validation: Sequence[Example]


def load_splits(sources: Sequence[str]) -> Splits:
    """The examples of all sources. A folder and the hub bring their own splits; a single file is split here.

    A conversation that is held out anywhere is trained on nowhere. Raises SourceError where one side is empty.
    """
    train: list[Example] = []
    validation: list[Example] = []
    for source in sources:
        if source == HUB_NAME or Path(source).is_dir():
            train += load_examples(source, "train")
            validation += load_examples(source, "validation")
        else:
            for example in merge_examples(load_examples(source, "train")):
                (validation if is_held_out(example) else train).append(example)
    held_out = {example.text for example in validation}
    kept = [example for example in merge_examples(train) if example.text not in held_out]
    for examples, side in ((kept, "to train on"), (validation, "held out")):
        if not examples:
            raise SourceError(
                f"{', '.join(sources)}: no conversation is left {side}. Give more rows, or a folder with a train "
                "and a validation file."
            )
    return Splits(kept, merge_examples(validation))


def merge_examples(examples: Iterable[Example]) -> list[Example]:
    """One example a conversation, with all its references, each once, in the order of first sight."""
    merged: dict[str, Example] = {}
    for example in examples:
        known = merged.setdefault(example.text, replace(example, references=()))
        references = tuple(dict.fromkeys(known.references + example.references))
        merged[example.text] = replace(known, references=references)
    return list(merged.values())


def is_held_out(example: Example) -> bool:
    """Whether a conversation is kept for the judgement: decided by its text alone, so the same on every run."""
    return sha256(example.text.encode()).digest()[0] % HELD_OUT_ONE_IN == 0
