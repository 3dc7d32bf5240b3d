"""Compares what a shadow wrote with what was served: by its flags and its words, and by people who don't know which is
which.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

from sqlalchemy import Engine, select, update

from aftercall.database import reading
from aftercall.errors import AdapterError, SourceError
from aftercall.ledger import rollouts
from aftercall.ledger.rollouts import Kind, Rollout
from aftercall.models import Job, RolloutResult, Summary
from producer.export import write_csv
from producer.formulas import guard
from producer.output import check_replaceable, write_out
from training.data.csv_rows import read_rows
from training.judge.bootstrap import CONFIDENCE, Interval, compare
from training.judge.rouge import score_pair
from training.registry import registry, shipped
from training.registry.gate import MIN_CONVERSATIONS
from training.registry.registry import Trial
from worker.serving.desired import DesiredAdapter

REVIEW_COLUMNS = ("job", "conversation", "first", "second", "preferred")

#: What a reviewer writes in the column `preferred`.
_ANSWERS = ("first", "second", "tie")


@dataclass(frozen=True, slots=True)
class Pair:
    """What both adapters made of one conversation."""

    job_id: int
    conversation: str
    served: Any
    #: Its text is None if it came to nothing.
    shadow: Any

    def in_order(self, rollout: Rollout) -> tuple[tuple[str, str], tuple[str, str]]:
        """Both texts, each with its writer, in an order that says nothing about who wrote which."""
        writers = ("served", str(self.served.text)), ("shadow", str(self.shadow.text))
        is_swapped = hashlib.sha256(f"order {rollout.id} {self.job_id}".encode()).digest()[0] & 1
        return writers[::-1] if is_swapped else writers


@dataclass(frozen=True, slots=True)
class Preference:
    """What reviewers preferred."""

    num_shadow: int
    num_served: int
    num_ties: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the share that prefers the shadow, of those who preferred one."""
        num = self.num_shadow + self.num_served
        if not num:
            return 0.0, 1.0
        z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
        share = self.num_shadow / num
        middle = (share + z2 / (2 * num)) / (1 + z2 / num)
        half = math.sqrt(z2 * (share * (1 - share) / num + z2 / (4 * num * num))) / (1 + z2 / num)
        return middle - half, middle + half

    @property
    def sentence(self) -> str:
        """The figures, in words."""
        low, high = self.interval
        return (
            f"reviewers preferred the shadow {self.num_shadow} times and the served adapter {self.num_served} times, "
            f"with {self.num_ties} ties: {low:.0%} to {high:.0%} for the shadow (95% interval)"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A shadow compared with what was served, over the conversations that both wrote. Differences in their own unit."""

    num_pairs: int
    #: Of the shadow's completions, how many came to nothing.
    num_failed: int
    #: By figure: the served adapter's mean, the shadow's mean, and the difference with its 95% interval.
    figures: Mapping[str, tuple[float, float, Interval]]
    #: Mean ROUGE-1 between the two summaries, 0 to 100.
    overlap: float
    preference: Preference


def compare_shadow(database: Engine, rollout: Rollout) -> Comparison:
    """Compare what the shadow has written so far with what was served."""
    found = _read_pairs(database, rollout)
    pairs = [pair for pair in found if pair.shadow.text is not None]
    values = {
        "need review, %": [(100.0 * bool(p.shadow.needs_review), 100.0 * bool(p.served.needs_review)) for p in pairs],
        "cut at the token limit, %": [
            (100.0 * (p.shadow.finish_reason == "length"), 100.0 * (p.served.finish_reason == "length")) for p in pairs
        ],
        "tokens": [(float(p.shadow.num_completion_tokens), float(p.served.num_completion_tokens)) for p in pairs],
    }
    overlaps = [100 * score_pair(pair.shadow.text, pair.served.text).rouge1 for pair in pairs]
    votes = [pair.shadow.preferred for pair in pairs]
    return Comparison(
        num_pairs=len(pairs),
        num_failed=len(found) - len(pairs),
        figures={name: _summarize(both) for name, both in values.items() if both},
        overlap=sum(overlaps) / max(len(overlaps), 1),
        preference=Preference(votes.count("shadow"), votes.count("served"), votes.count("tie")),
    )


def export_pairs(database: Engine, rollout: Rollout, out: Path, max_rows: int) -> int:
    """Write pairs that no one has judged yet for people to compare, in an order that hides who wrote which.

    Returns how many. Raises SourceError if there are none, AftercallError if `out` can't be replaced.
    """
    check_replaceable(out, REVIEW_COLUMNS)
    pairs = [p for p in _read_pairs(database, rollout) if p.shadow.text is not None and p.shadow.preferred is None]
    if not pairs:
        raise SourceError(f"the shadow {rollout.adapter_digest} has written nothing that is still to be compared")
    rows = _to_rows(pairs[:max_rows], rollout)
    return write_out(out, REVIEW_COLUMNS, lambda file: write_csv(file, REVIEW_COLUMNS, rows))


def import_pairs(database: Engine, rollout: Rollout, reviewed: Path) -> int:
    """Keep what people preferred; returns how many comparisons.

    Raises SourceError, naming the line, before anything is kept, if a row is not as it was exported.
    """
    pairs = {pair.job_id: pair for pair in _read_pairs(database, rollout)}
    votes = {}
    for where, row in read_rows(reviewed, set(REVIEW_COLUMNS), "what `aftercall adapters shadow --review` wrote"):
        answer = row["preferred"].strip().lower()
        if answer:
            pair = _check(pairs.get(int(row["job"])) if row["job"].isdecimal() else None, rollout, row, where)
            votes[pair.job_id] = _read_vote(pair, answer, rollout, where)
    with database.begin() as connection:
        for job_id, vote in votes.items():
            is_it = (RolloutResult.rollout_id == rollout.id) & (RolloutResult.job_id == job_id)
            connection.execute(update(RolloutResult).where(is_it).values(preferred=vote))
    return len(votes)


def promote_on_preference(database: Engine, digest: str, incumbent: DesiredAdapter) -> str:
    """Make an adapter active because reviewers preferred it, as a shadow, to what is served; returns the figures.

    Raises AdapterError unless enough of them did.
    """
    entry = shipped.find(database, digest)
    rollout = next(
        (
            each
            for each in rollouts.every(database, entry.base_model)
            if (each.kind, each.adapter_digest, each.served_digest) == (Kind.SHADOW, entry.digest, incumbent.digest)
        ),
        None,
    )
    if rollout is None:
        raise AdapterError(
            f"{entry.digest} was not a shadow of what is served now; start with `aftercall adapters shadow {digest}`"
        )
    preference = compare_shadow(database, rollout).preference
    if preference.num_shadow + preference.num_served < MIN_CONVERSATIONS or preference.interval[0] <= 0.5:
        raise AdapterError(
            f"{entry.digest} stays a candidate: {preference.sentence}. At least {MIN_CONVERSATIONS} comparisons "
            "without a tie are needed, and an interval above 50%."
        )
    report = json.dumps({"sentence": preference.sentence})
    registry.promote(database, entry.digest, Trial(incumbent.digest or None, report=report))
    return preference.sentence


def _read_pairs(database: Engine, rollout: Rollout) -> list[Pair]:
    """In the order of the conversations' keys, which are digests, so that the first ones are a sample."""
    results = (
        select(RolloutResult)
        .join(Job, Job.id == RolloutResult.job_id)
        .where(RolloutResult.rollout_id == rollout.id, RolloutResult.adapter_digest == rollout.adapter_digest)
        .order_by(Job.job_key)
    )
    written = (
        select(Summary, Job.text.label("conversation"))
        .join(Job, Job.id == Summary.job_id)
        .join(RolloutResult, RolloutResult.job_id == Summary.job_id)
        .where(RolloutResult.rollout_id == rollout.id, Summary.adapter_digest == rollout.served_digest)
    )
    with reading(database) as connection:
        served = {row.job_id: row for row in connection.execute(written)}
        return [
            Pair(row.job_id, served[row.job_id].conversation, served[row.job_id], row)
            for row in connection.execute(results)
            if row.job_id in served
        ]


def _summarize(both: Sequence[tuple[float, float]]) -> tuple[float, float, Interval]:
    ours, theirs = zip(*both, strict=True)
    return sum(theirs) / len(theirs), sum(ours) / len(ours), compare(ours, theirs)


def _to_rows(pairs: Sequence[Pair], rollout: Rollout) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        (_, first), (_, second) = pair.in_order(rollout)
        yield dict(zip(REVIEW_COLUMNS, (pair.job_id, pair.conversation, first, second, ""), strict=True))


def _check(pair: Pair | None, rollout: Rollout, row: Mapping[str, str], where: str) -> Pair:
    """The pair of a row; SourceError if there is none, or if the row's texts are not its own."""
    found = [_squeeze(row[name]) for name in ("first", "second")]
    if pair is None or found != [_squeeze(str(guard(text))) for _, text in pair.in_order(rollout)]:
        raise SourceError(f"{where}: not as it was exported. Sort whole rows, and change `preferred` only.")
    return pair


def _read_vote(pair: Pair, answer: str, rollout: Rollout, where: str) -> str:
    if answer not in _ANSWERS:
        raise SourceError(f"{where}: {answer!r} in the column `preferred`; expected {', '.join(_ANSWERS)}, or nothing")
    return "tie" if answer == "tie" else pair.in_order(rollout)[_ANSWERS.index(answer)][0]


def _squeeze(text: str) -> str:
    return " ".join(text.split())
