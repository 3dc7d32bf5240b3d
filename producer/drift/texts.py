"""What a sample of a night's conversations is like: how long, in which words, in which language. Pure arithmetic.

Knows no language: the words that were the most common before stand for the usual one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from producer.report.drift import Figure

#: Words that hold a language together are among the most common ones: `the`, `to`, `and`.
NUM_COMMON = 50

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Texts:
    """A sample of a night's conversations."""

    mean_chars: float
    words: Counter[str]

    @property
    def num_words(self) -> int:
        """Words in the sample, repeated ones too."""
        return max(self.words.total(), 1)


def read_texts(conversations: Iterable[str]) -> Texts:
    """Count a sample of rendered conversations."""
    words: Counter[str] = Counter()
    num_chars = num = 0
    for conversation in conversations:
        said = "\n".join(line.partition(": ")[2] for line in conversation.splitlines())
        num, num_chars = num + 1, num_chars + len(said)
        words.update(_WORD.findall(said.lower()))
    return Texts(num_chars / max(num, 1), words)


def text_figures(texts: Texts, others: Sequence[Texts]) -> list[Figure]:
    """The figures of one night, whose words are compared with those of other nights."""
    known: Counter[str] = Counter()
    for other in others:
        known.update(other.words)
    common = [word for word, _ in known.most_common(NUM_COMMON)]
    num_new = sum(number for word, number in texts.words.items() if word not in known)
    num_common = sum(texts.words[word] for word in common)
    return [
        Figure("characters in a conversation", texts.mean_chars, texts.mean_chars * 0.2, is_share=False),
        Figure("words that were not seen before", num_new / texts.num_words, 0.03),
        Figure(f"words among the {NUM_COMMON} most common (the language)", num_common / texts.num_words, 0.05),
    ]


def mix_figure(name: str, labels: Counter[str], others: Sequence[Counter[str]]) -> Figure:
    """How far a mix of labels is from that of other nights: the share of summaries with another label than expected."""
    usual: Counter[str] = Counter()
    for other in others:
        usual.update(other)
    num, num_usual = max(labels.total(), 1), max(usual.total(), 1)
    differences = (abs(labels[label] / num - usual[label] / num_usual) for label in labels.keys() | usual.keys())
    return Figure(name, sum(differences) / 2, 0.1)
