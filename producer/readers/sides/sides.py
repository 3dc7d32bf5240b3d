"""On which side each turn of a conversation is. What can't be told is rejected, the whole conversation with it.

Roles are told by their words. Names are told by the user (`SideRules`), by the other side's role in the same
conversation, or by a count over the whole source (`census`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from aftercall.conversation import Speaker, Turn
from producer.readers.raw import RawConversation, RawTurn
from producer.readers.rows import RowError
from producer.readers.sides import census
from producer.readers.sides.census import LabelCount, answers_customer, count_places, find_address_side, find_domain
from producer.readers.sides.side_rules import SideRules, how_to_tell, parse_rules
from producer.readers.sides.speakers import is_bot_word, is_system_word, plain_label
from producer.readers.transcripts.openings import has_happened

__all__ = ["Account", "Census", "SideRules", "Sides", "is_settled", "parse_rules", "voice_system"]


@dataclass(frozen=True, slots=True)
class Account:
    """How the side of one label was decided."""

    label: str
    num_conversations: int
    #: None: it depends on the conversation, or it isn't known.
    side: Speaker | None
    why: str


class Census(census.Census):
    """Counts labels over a source, and decides who is who."""

    def decide(self, rules: SideRules | None = None) -> "Sides":
        """The sides of all labels, by the rules and by what was counted.

        Raises SourceError if the rules contradict each other.
        """
        rules = rules or SideRules()
        company, least = self.find_company(), self.find_least_frequent()
        accounts: dict[str, Account] = {}
        for key, count in self.counts.items():
            side, why = self._decide(count, rules, company, least)
            accounts[key] = Account(count.label, count.num_conversations, side, why)
        return Sides(rules, accounts, {key for key, count in self.counts.items() if count.num_conversations >= least})

    def _decide(
        self, count: LabelCount, rules: SideRules, company: str | None, least: float
    ) -> tuple[Speaker | None, str]:
        if told := rules.find(count.label):
            return told[0], f"told by {'--agents' if told[0] == 'agent' else '--customers'}"
        if count.role:
            return count.role, "a word for this role"
        if rules.rest:
            return rules.rest, f"not named by {'--agents' if rules.rest == 'user' else '--customers'}"
        if find_address_side(count.label):
            return "agent", "an address of the company"
        if company and (domain := find_domain(count.label)):
            return (
                ("agent", f"writes from {company}") if domain == company else ("user", f"does not write from {company}")
            )
        return self._decide_name(count, least)

    def _decide_name(self, count: LabelCount, least: float) -> tuple[Speaker | None, str]:
        if count.num_beside_user == count.num_conversations:
            return "agent", "speaks with the customer"
        if answers_customer(count):
            return "agent", "answers the customer"
        if self.is_frequent(count, least):
            return "agent", f"speaks in {count.num_conversations:,} of {self.num_conversations:,} conversations"
        return None, "decided by conversation"


@dataclass(frozen=True)
class Sides:
    """Gives each turn its side. Without a census: by rules, roles and the other side alone."""

    rules: SideRules = field(default_factory=SideRules)
    by_label: dict[str, Account] = field(default_factory=dict)
    #: Labels of so many conversations that they are no single customer's.
    frequent: frozenset[str] | set[str] = frozenset()

    @property
    def accounts(self) -> list[Account]:
        """How each label was decided, the most frequent first."""
        return sorted(self.by_label.values(), key=lambda account: (-account.num_conversations, account.label))

    @property
    def unused_patterns(self) -> list[str]:
        """Patterns of the rules that name nobody in the source."""
        found = {told[1] for account in self.by_label.values() if (told := self.rules.find(account.label))}
        return [pattern for pattern in (*self.rules.agents, *self.rules.customers) if pattern not in found]

    def resolve(self, conversation: RawConversation) -> tuple[Turn, ...]:
        """Its turns with their sides; notes and events are left out.

        Raises RowError if the side of a turn is not known.
        """
        turns = [turn for turn in conversation.turns if turn.kind == "message"]
        if not (self.rules.agents or self.rules.customers) and is_settled(turns):
            return tuple([Turn(turn.speaker, turn.text) for turn in turns if turn.speaker])
        told = [replace(turn, speaker=self._find(turn)) for turn in turns if turn.text.strip()]
        rest = self._decide_rest(told)
        resolved = []
        for turn in told:
            side = turn.speaker or rest.get(plain_label(turn.label))
            if side is None:
                raise RowError(_unknown(turn.label))
            resolved.append(Turn(side, turn.text))
        return tuple(resolved)

    def _find(self, turn: RawTurn) -> Speaker | None:
        """The side of a turn by rules, by its role and by the census."""
        if turn.label and (told := self.rules.find(turn.label)):
            return told[0]
        if turn.speaker or not turn.label:
            return turn.speaker
        if self.rules.rest:
            return self.rules.rest
        account = self.by_label.get(plain_label(turn.label))
        return account.side if account else find_address_side(turn.label)

    def _decide_rest(self, turns: Sequence[RawTurn]) -> dict[str, Speaker]:
        """The sides of the labels that are left, by those that are known in this conversation."""
        unknown = {plain_label(turn.label): turn for turn in turns if turn.speaker is None and turn.label}
        known = {turn.speaker for turn in turns if turn.speaker and not is_bot_word(turn.label)}
        if not unknown or not known or self.rules.agents or self.rules.customers:
            return {}
        if known == {"user"}:
            return dict.fromkeys(unknown, "agent")
        if known == {"agent"}:
            # Two strangers and an agent: one of them may be a colleague whom the census doesn't know.
            return dict.fromkeys(unknown, "user") if len(unknown) == 1 and not self.frequent & unknown.keys() else {}
        counts = {key: LabelCount(turn.label, None) for key, turn in unknown.items()}
        count_places(turns, counts)
        return {key: "agent" for key, count in counts.items() if answers_customer(count)}


def is_settled(turns: Iterable[RawTurn]) -> bool:
    """Whether every turn says its side, so that no census is needed."""
    return all(turn.speaker is not None or turn.kind != "message" for turn in turns)


def voice_system(turns: list[RawTurn]) -> list[RawTurn]:
    """The same turns, `System` being the company's voice if nobody else answers the customer.

    Dialogue systems are written down so. A system's prompt, or what it reports, stays an event.
    """
    is_system = [turn.kind == "event" and is_system_word(turn.label) for turn in turns]
    if not any(is_system) or any(turn.kind == "message" and turn.speaker != "user" for turn in turns):
        return turns
    said = [turn for turn, is_its in zip(turns, is_system, strict=True) if is_its]
    num_users = sum(turn.speaker == "user" for turn in turns)
    if not num_users or len(said) < num_users - 1 or any(has_happened(turn.text) for turn in said):
        return turns
    if is_system[0] and len(said) == 1:
        return turns
    return [
        replace(turn, speaker="agent", kind="message") if is_its else turn
        for turn, is_its in zip(turns, is_system, strict=True)
    ]


def _unknown(label: str) -> str:
    if not label:
        return "a turn does not say who speaks; say which column or field does: --map speaker=COLUMN"
    return f"it is not known whether {label[:60]!r} is a customer or an agent; {how_to_tell(label)}."
