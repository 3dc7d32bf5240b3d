"""Splits labelled conversations into training and held-out ones, by conversation, so that no reference leaks."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from aftercall.errors import SourceError
from aftercall.trained_on import TRAINED_ON_FILE, digest_text, read_trained_on
from training.data.dataset import DEFAULT_READING, Example, is_split_source, load_examples
from training.data.labelled import Reading
from training.files import write_artifact

#: In a file without splits, one conversation in this many is held out.
HELD_OUT_ONE_IN = 10


@dataclass(frozen=True, slots=True)
class Splits:
    """The conversations to train on, and those for the evaluation and the validation loss."""

    train: Sequence[Example]
    validation: Sequence[Example]


def load_splits(sources: Sequence[str], reading: Reading = DEFAULT_READING) -> Splits:
    """The examples of all sources. Folders and the hub have their own splits; a single file is split here.

    A conversation held out in any source is trained on in none. Raises SourceError if either side is empty.
    """
    splits = read_splits(sources, reading)
    _require(splits.validation, sources, "held out")
    _require(splits.train, sources, "to train on")
    return splits


def read_splits(sources: Sequence[str], reading: Reading = DEFAULT_READING) -> Splits:
    """As `load_splits`, where either side may be empty."""
    validation = _read_held_out(sources, reading)
    held_out = {example.text for example in validation}
    train = merge_examples(example for source in sources for example in load_examples(source, "train", reading))
    return Splits([example for example in train if example.text not in held_out], validation)


def load_held_out(sources: Sequence[str], reading: Reading = DEFAULT_READING) -> list[Example]:
    """The held-out examples of all sources; a folder needs no train file. Raises SourceError if there are none."""
    return _require(_read_held_out(sources, reading), sources, "held out")


def _read_held_out(sources: Sequence[str], reading: Reading) -> list[Example]:
    held_out: list[Example] = []
    for source in sources:
        if is_split_source(source):
            held_out += load_examples(source, "validation", reading)
        else:
            held_out += filter(is_held_out, load_examples(source, "train", reading))
    return merge_examples(held_out)


def count_pairs(splits: Splits) -> int:
    """How many preferences there are to train on."""
    return sum(len(example.pairs) for example in splits.train)


def require_pairs(splits: Splits, sources: Sequence[str]) -> None:
    """Raises SourceError if there is no preference to train on."""
    if not count_pairs(splits):
        raise SourceError(
            f"{', '.join(sources)}: no conversation to train on has a preference. Give --data a training file that "
            "`aftercall review import` wrote, with the column `served`, or rows of prompt, chosen and rejected."
        )


def _require(examples: Sequence[Example], sources: Sequence[str], side: str) -> list[Example]:
    if not examples:
        raise SourceError(
            f"{', '.join(sources)}: no conversation is left {side}. Give more rows, or a folder with a train and a "
            "validation file."
        )
    return list(examples)


def merge_examples(examples: Iterable[Example]) -> list[Example]:
    """One example per conversation with all its distinct references and pairs, in the order of first occurrence."""
    merged: dict[str, Example] = {}
    for example in examples:
        known = merged.setdefault(example.text, replace(example, references=(), pairs=()))
        references = tuple(dict.fromkeys(known.references + example.references))
        pairs = tuple(dict.fromkeys(known.pairs + example.pairs))
        merged[example.text] = replace(known, references=references, pairs=pairs)
    return list(merged.values())


def is_held_out(example: Example) -> bool:
    """Whether a conversation is held out. Depends on its text alone, so it is the same on every run."""
    return sha256(example.text.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def save_trained_on(folder: Path, examples: Iterable[Example]) -> None:
    """Record the digests of the conversations an adapter was trained on; digests reveal no conversation."""
    write_artifact(folder / TRAINED_ON_FILE, json.dumps(sorted(map(_digest, examples)), indent=0).encode() + b"\n")


def check_unseen(folder: Path, examples: Sequence[Example]) -> None:
    """Raises SourceError if an adapter was trained on any of the examples: it may have memorized them.

    An adapter without a record of its training data is not checked.
    """
    unseen = {example.text for example in find_unseen(folder, examples)}
    seen = [example.conversation.external_id for example in examples if example.text not in unseen]
    if seen:
        named = ", ".join([*seen[:3], *(["…"] if len(seen) > 3 else [])])
        raise SourceError(
            f"{len(seen)} of {len(examples)} conversations were trained on by {folder.name}: {named}. Give --data as "
            "`aftercall train` had it, or other conversations."
        )


def find_unseen(folder: Path, examples: Sequence[Example]) -> list[Example]:
    """The examples that an adapter was not trained on; all of them if it has no record of its training data."""
    trained_on = read_trained_on(folder)
    if trained_on is None:
        return list(examples)
    return [example for example in examples if _digest(example) not in trained_on]


def _digest(example: Example) -> str:
    return digest_text(example.text)
