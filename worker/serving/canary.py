"""Whether a canary is worse than the served adapter beyond doubt: a sequential test that may be asked at any time.

Conversations are drawn for the canary by a hash, so it gets each one with the probability of its share, whatever the
conversation. A summary with a flag is therefore the canary's with at most that probability, unless the canary gets the
flag more often. Each flagged summary is a toss of that coin, and the evidence is the likelihood of all tosses under a
uniform mixture of larger probabilities, divided by their likelihood under the share. If the canary is no worse, the
evidence is a supermartingale of mean 1 at most: it ever reaches N with a probability of at most 1/N (Ville), however
often it is looked at. No number of summaries is fixed in advance, and no approximation is made.
"""

import logging
import math
from dataclasses import dataclass

from sqlalchemy import Engine

from aftercall.ledger import rollouts
from aftercall.ledger.rollout_figures import FLAGS, Arm, count_arms
from aftercall.ledger.rollouts import Kind, Rollout, State

logger = logging.getLogger(__name__)

#: The probability that a canary which is no worse is ever stopped, over all flags together.
ERROR_RATE = 0.01

#: Seconds between two looks, of all workers together. Each reads the summaries since the canary began.
CHECK_INTERVAL_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one flag of a canary."""

    flag: str
    canary: Arm
    served: Arm
    #: Natural logarithm of the evidence that the canary is worse.
    log_evidence: float

    @property
    def is_worse(self) -> bool:
        """Whether it is worse beyond doubt. The error rate is divided by the number of flags (Bonferroni)."""
        return self.log_evidence >= math.log(len(FLAGS) / ERROR_RATE)

    @property
    def sentence(self) -> str:
        """The figures, in words."""
        odds = min(math.exp(min(self.log_evidence, 20.0)), 1e6) / len(FLAGS)
        return (
            f"of the canary's conversations, {_count(self.canary, self.flag)} {self.flag}; of the served adapter's, "
            f"{_count(self.served, self.flag)}. "
            f"A canary that is no worse comes to this once in {odds:,.0f} times at most"
        )


def check(database: Engine, running: list[Rollout]) -> None:
    """Stop the canary among these rollouts if it is worse. Looks once in `CHECK_INTERVAL_S`, whichever worker asks."""
    for rollout in running:
        if rollout.kind is Kind.CANARY and rollouts.take_check(database, rollout.id, CHECK_INTERVAL_S):
            worse = next((finding for finding in judge(database, rollout) if finding.is_worse), None)
            if worse is not None and rollouts.stop(database, rollout, State.WORSE, worse.sentence):
                logger.warning("canary %s is stopped: %s", rollout.adapter_digest, worse.sentence)


def judge(database: Engine, rollout: Rollout) -> list[Finding]:
    """What is known about each flag of a canary."""
    canary, served = count_arms(database, rollout)
    return [
        Finding(
            flag,
            canary,
            served,
            log_evidence(canary.num_flagged[flag], canary.num_flagged[flag] + served.num_flagged[flag], rollout.share),
        )
        for flag in FLAGS
    ]


def log_evidence(num_canary: int, num_all: int, share: float) -> float:
    """The logarithm of the evidence that more than `share` of flagged summaries are the canary's.

    The mixture's likelihood is the integral of `p**k * (1 - p)**(n - k)` over `p` from `share` to 1, divided by
    `1 - share`: a beta function times the tail of a binomial distribution.
    """
    if not num_all:
        return 0.0
    num_served = num_all - num_canary
    log_beta = math.lgamma(num_canary + 1) + math.lgamma(num_served + 1) - math.lgamma(num_all + 2)
    log_null = num_canary * math.log(share) + num_served * math.log1p(-share)
    return log_beta + _log_at_most(num_canary, num_all + 1, share) - math.log1p(-share) - log_null


def _log_at_most(num: int, num_trials: int, probability: float) -> float:
    """The logarithm of the probability of at most `num` successes."""
    logs = [
        math.lgamma(num_trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(num_trials - successes + 1)
        + successes * math.log(probability)
        + (num_trials - successes) * math.log1p(-probability)
        for successes in range(num + 1)
    ]
    largest = max(logs)
    return largest + math.log(math.fsum(math.exp(each - largest) for each in logs))


def _count(arm: Arm, flag: str) -> str:
    return f"{arm.num_flagged[flag]} of {arm.num_conversations} ({arm.share(flag):.1%})"
