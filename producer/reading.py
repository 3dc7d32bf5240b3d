"""From raw conversations to conversations: text prepared, notes dropped, turns in order, sides decided.

Knows no container and no layout. What a conversation loses on the way is counted in the account.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from aftercall.conversation import Conversation, Turn
from aftercall.errors import SourceError
from producer.cleaning.prepare import is_auto_reply, looks_like_email, prepare_text
from producer.readers.account import Account, SideLine
from producer.readers.conversations import too_long
from producer.readers.raw import RawConversation, RawRow, RawTurn
from producer.readers.rows import Outcome, Rejected, RowError, SourceRow
from producer.readers.sides.side_rules import how_to_tell
from producer.readers.sides.sides import Census, SideRules, Sides, is_settled, voice_system
from producer.readers.timing.ordering import Direction, find_direction, order_turns

#: Conversations that are looked at before it is decided whether the text is e-mail.
_NUM_SAMPLES = 50
#: Of strangers, what a message names.
_MAX_NAMES = 5
_MAX_NAME_CHARS = 60
_SOUND_ORDERS = ("time", "file")
_NOBODY = "nobody speaks in the conversation: it holds notes, events or automatic replies only."
_PLURAL = {"note": "notes", "event": "events"}

Read = Callable[[], Iterator[RawRow | Outcome]]


class Reading:
    """One pass over a source. The sides of unknown speakers are decided over the whole of it, when the first is met."""

    def __init__(
        self,
        what: str,
        read: Read,
        read_first: Read,
        rules: SideRules,
        account: Account,
        *,
        keep_notes: bool,
        max_chars: int,
    ) -> None:
        #: The source, in a message, if it is of a kind in which speakers are names; empty otherwise.
        self._what = what
        self._read = read
        #: The same of the first records alone, where all have to be sorted before the first conversation comes.
        self._read_first = read_first
        self._rules = rules
        self._account = account
        self._keep_notes = keep_notes
        self._max_chars = max_chars
        self._sides: Sides | None = None
        self._is_email = False
        self._is_newest_first = False
        #: Whether no conversation goes the short way.
        self._is_careful = False

    def pairs(self) -> Iterator[tuple[RawConversation | None, Outcome]]:
        """Every conversation as it stands in the file, and as it is read or rejected."""
        self._learn()
        for row in self._read():
            if not isinstance(row, RawRow):
                if isinstance(row, SourceRow):
                    self._account.count(row.conversation.turns)
                yield None, row
                continue
            try:
                turns = self._finish(row)
            except RowError as error:
                yield from ((row.conversation, Rejected(line, str(error), cells)) for line, cells in row.rows())
            else:
                self._account.count(turns)
                yield row.conversation, SourceRow(row.line, Conversation(row.conversation.external_id, turns), row.row)

    def _finish(self, row: RawRow) -> tuple[Turn, ...]:
        if row.num_repeats:
            self._account.dropped["repeated rows"] += row.num_repeats
        turns = _ready(row) if row.is_plain and not self._is_careful else None
        if turns is None:
            turns = self._decide(self._prepare(row, self._account))
        if not any(turn.text.strip() for turn in turns):
            is_empty = not any(turn.text.strip() for turn in row.conversation.turns)
            raise RowError("the transcript is empty." if is_empty else _NOBODY)
        if not row.is_plain and sum(len(turn.text) + 1 for turn in turns) > self._max_chars + 1:
            raise RowError(too_long(self._max_chars))
        return turns

    def _prepare(self, row: RawRow, account: Account) -> RawConversation:
        """The conversation as it will be read, but for its sides."""
        conversation = row.conversation
        turns, order = order_turns(
            conversation.turns, num_unreadable=row.num_unreadable, newest_first=self._is_newest_first
        )
        account.orders[order] += 1
        account.num_out_of_order += order not in _SOUND_ORDERS
        kept = [turn for turn in voice_system(turns) if self._is_kept(turn, account)]
        is_email = self._is_email or any(turn.is_email or looks_like_email(turn.text) for turn in kept)
        prepared = [self._prepare_turn(turn, is_email, account) for turn in kept]
        return replace(conversation, turns=tuple(turn for turn in prepared if turn.text.strip()))

    def _is_kept(self, turn: RawTurn, account: Account) -> bool:
        if not turn.text.strip():
            account.dropped["empty entries"] += 1
            return False
        if turn.kind == "message" or (turn.kind == "note" and self._keep_notes):
            return True
        account.dropped[_PLURAL[turn.kind]] += 1
        return False

    def _prepare_turn(self, turn: RawTurn, is_email: bool, account: Account) -> RawTurn:
        text = prepare_text(turn.text, is_html=turn.is_html, is_email=is_email)
        if is_email and is_auto_reply(text):
            account.dropped["automatic replies"] += 1
            return replace(turn, text="")
        if is_email and len(text) < len(turn.text.strip()):
            account.dropped["quotes and signatures"] += 1
        if turn.kind == "note":  # no customer writes one, whoever it is by
            return replace(turn, text=text, kind="message", speaker="agent")
        return turn if text == turn.text else replace(turn, text=text)

    def _decide(self, conversation: RawConversation) -> tuple[Turn, ...]:
        if self._sides is None and not self._has_rules and is_settled(conversation.turns):
            return tuple(Turn(turn.speaker, turn.text) for turn in conversation.turns if turn.speaker)
        if self._sides is None:
            self._sides = self._take_census()
            self._account.sides = [
                SideLine(each.label, each.num_conversations, each.side or "", each.why) for each in self._sides.accounts
            ]
            self._account.unused = self._sides.unused_patterns
            self._refuse_strangers()
        return self._sides.resolve(conversation)

    def _refuse_strangers(self) -> None:
        """Raises SourceError where not one speaker is known: every conversation would be rejected."""
        sides = self._account.sides
        if not self._what:
            return
        if sides and not any(each.side for each in sides) and not self._account.num_conversations:
            names = ", ".join(repr(each.label[:_MAX_NAME_CHARS]) for each in sides[:_MAX_NAMES])
            raise SourceError(
                f"{self._what}: nothing says which of its {len(sides):,} speakers is an agent and which a customer: "
                f"{names}{' …' if len(sides) > _MAX_NAMES else ''}. S{how_to_tell(sides[0].label)[1:]}."
            )

    def _take_census(self) -> Sides:
        census, unheard = Census(), Account()
        for row in self._read():
            if isinstance(row, RawRow):
                census.feed(self._prepare(row, unheard))
        return census.decide(self._rules)

    @property
    def _has_rules(self) -> bool:
        return bool(self._rules.agents or self._rules.customers)

    def _learn(self) -> None:
        """What the first conversations say about all: whether they are e-mails, and which way their times run."""
        num_turns = num_emails = 0
        directions: Counter[Direction | None] = Counter()
        for row in islice(self._read_first(), _NUM_SAMPLES):  # not held: the cells of one may be megabytes
            if isinstance(row, RawRow):
                messages = [turn for turn in row.conversation.turns if turn.kind == "message"]
                num_turns += len(messages)
                num_emails += sum(looks_like_email(turn.text) for turn in messages)
                directions[find_direction(row.conversation.turns)] += 1
        self._is_email = num_emails * 5 > num_turns
        self._is_newest_first = directions["newest first"] > directions["oldest first"]
        self._is_careful = self._is_email or self._has_rules


def _ready(row: RawRow) -> tuple[Turn, ...] | None:
    """Turns that need nothing done: the way that most rows go, and so a short one."""
    ready = []
    for turn in row.conversation.turns:
        if turn.speaker is None or turn.kind != "message" or turn.time is not None:
            return None
        ready.append(Turn(turn.speaker, turn.text))
    return tuple(ready)
