"""Who occurs in a source, how often and in which company, counted in a first pass. Decides for labels that are names.

An agent is who speaks in many conversations without opening them, or who writes from the company's domain. What is
not plain is left undecided: `sides` then rejects the conversation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aftercall.conversation import Speaker
from producer.readers.raw import RawConversation, RawTurn
from producer.readers.sides.speakers import find_role, is_bot_word, last_known, plain_label

#: Beyond this many labels those of a single conversation are forgotten: they are the customers.
MAX_LABELS = 200_000

#: Nobody is an agent by frequency in fewer conversations, or in a smaller share of what the busiest agent has.
_MIN_CONVERSATIONS = 3
_MIN_SHARE = 0.05
#: Who opens more than this share of his conversations asks rather than answers.
_MAX_OPENED = 0.5
#: The share of conversations in which the company's domain occurs.
_MIN_DOMAIN_SHARE = 0.8
_FREE_MAIL_WORDS = (
    "gmail.com googlemail.com yahoo.com hotmail.com outlook.com live.com icloud.com me.com aol.com gmx.de gmx.net "
    "web.de t-online.de freenet.de proton.me protonmail.com mail.ru yandex.ru qq.com 163.com orange.fr free.fr "
    "laposte.net libero.it uol.com.br msn.com ymail.com mail.com naver.com hanmail.net wp.pl o2.pl"
)
_FREE_MAIL = frozenset(_FREE_MAIL_WORDS.split())


@dataclass(slots=True)
class LabelCount:
    """What was seen of one label."""

    label: str
    role: Speaker | None
    num_conversations: int = 0
    num_opened: int = 0
    #: Turns between two of the customer's, or behind the agent's: nobody but an agent speaks there.
    num_answers: int = 0
    #: Turns behind the customer's and before no other of his: they may be lines of what he wrote.
    num_doubtful: int = 0
    #: Conversations in which the customer's role is known and the agent's is not.
    num_beside_user: int = 0


class Census:
    """Counts labels over a source."""

    def __init__(self) -> None:
        self.counts: dict[str, LabelCount] = {}
        self.num_conversations = 0
        self._domains: Counter[str] = Counter()
        self._num_with_addresses = 0

    def feed(self, conversation: RawConversation) -> None:
        """Count one conversation."""
        turns = [turn for turn in conversation.turns if turn.kind == "message" and turn.label and turn.text.strip()]
        if not turns:
            return
        self.num_conversations += 1
        roles = {turn.speaker for turn in turns if turn.speaker and not is_bot_word(turn.label)}
        seen: dict[str, LabelCount] = {}
        for turn in turns:
            key = plain_label(turn.label)
            if key not in seen:
                seen[key] = self._count(key, turn, roles)
        next(iter(seen.values())).num_opened += 1
        count_places(turns, self.counts)
        self._count_domains(seen)
        if len(self.counts) > MAX_LABELS:
            self._forget()

    def _count(self, key: str, turn: RawTurn, roles: set[Speaker]) -> LabelCount:
        count = self.counts.setdefault(key, LabelCount(turn.label, turn.speaker))
        count.num_conversations += 1
        count.num_beside_user += roles == {"user"}
        return count

    def _count_domains(self, keys: Iterable[str]) -> None:
        domains = {domain for key in keys if (domain := find_domain(key))}
        self._num_with_addresses += bool(domains)
        self._domains.update(domains - _FREE_MAIL)
        if len(self._domains) > MAX_LABELS:
            self._domains = Counter({domain: count for domain, count in self._domains.items() if count > 1})

    def _forget(self) -> None:
        """Keep those who were seen twice; if that are too many, the half that was seen most."""
        kept = {key: count for key, count in self.counts.items() if count.num_conversations > 1}
        if len(kept) > MAX_LABELS // 2:
            busiest = sorted(kept.items(), key=lambda item: -item[1].num_conversations)[: MAX_LABELS // 2]
            kept = dict(busiest)
        self.counts = kept

    def find_company(self) -> str | None:
        """The company's domain: the only one that occurs in nearly all conversations that have addresses."""
        least = max(2.0, _MIN_DOMAIN_SHARE * self._num_with_addresses)
        common = [domain for domain, count in self._domains.items() if count >= least]
        return common[0] if len(common) == 1 else None

    def find_least_frequent(self) -> float:
        """In how many conversations an agent occurs at least."""
        most = max((count.num_conversations for count in self.counts.values() if count.role is None), default=0)
        return max(_MIN_CONVERSATIONS, _MIN_SHARE * most)

    def is_frequent(self, count: LabelCount, least: float) -> bool:
        """Whether this is an agent by the number of conversations."""
        if count.num_doubtful:
            return False
        return count.num_conversations >= least and count.num_opened <= _MAX_OPENED * count.num_conversations


def count_places(turns: Sequence[RawTurn], counts: Mapping[str, LabelCount]) -> None:
    """Count between whom the turns of unknown sides stand."""
    speakers = [turn.speaker for turn in turns]
    above = last_known(speakers)
    below = last_known(speakers[::-1])[::-1]
    for turn, before, after in zip(turns, above, below, strict=True):
        if turn.speaker is not None or not turn.label or "user" not in (before, after):
            continue
        count = counts[plain_label(turn.label)]
        count.num_answers += before == "agent" or before == after == "user"
        count.num_doubtful += before == "user" and after != "user"


def answers_customer(count: LabelCount) -> bool:
    """Whether a label stands where an agent speaks, and never where it may be a line of the customer's text."""
    return count.num_answers > 0 and not count.num_doubtful


def find_domain(label: str) -> str | None:
    """The domain of an address such as `maria@acme.example` or `Maria <maria@acme.example>`."""
    _, at, domain = label.rpartition("@")
    domain = domain.strip(" <>()[]").casefold()
    return domain if at and "." in domain and " " not in domain else None


def find_address_side(label: str) -> Speaker | None:
    """The side of an address that is a role, such as `support@acme.example`."""
    if find_domain(label) is None:
        return None
    local = label.rpartition("@")[0].rpartition("<")[2]
    return "agent" if find_role(local) == "agent" else None
