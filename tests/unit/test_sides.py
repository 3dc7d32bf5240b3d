"""On which side names are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftercall.conversation import Turn
from aftercall.errors import SourceError
from producer.readers.raw import RawConversation, RawTurn
from producer.readers.rows import RowError
from producer.readers.sides.sides import Census, SideRules, Sides, census, parse_rules, voice_system
from tests.unit.transcripts import read_all


def _source(*pairs: tuple[str, str]) -> list[str]:
    return [f"{customer}: It broke.\n{agent}: Since when?\n{customer}: Monday." for customer, agent in pairs]


def _conversation(*turns: RawTurn) -> RawConversation:
    return RawConversation("1", turns)


def test_everyone_else_is_the_other_side() -> None:
    (turns,) = read_all("Jonas: a\nMARIA KELLER: b\nPaul: c", agents="maria*")
    assert [speaker for speaker, _ in turns] == ["user", "agent", "user"]
    (turns,) = read_all("Jonas: a\nMaria: b", customers="J?nas")
    assert [speaker for speaker, _ in turns] == ["user", "agent"]


def test_with_both_told_a_stranger_is_rejected() -> None:
    with pytest.raises(RowError, match="'Paul'"):
        read_all("Jonas: a\nMaria: b\nPaul: c", agents="Maria", customers="Jonas")


def test_a_rule_outweighs_a_word_for_a_role() -> None:
    (turns,) = read_all("Bot: a\nJonas: b", customers="Bot", agents="Jonas")
    assert [speaker for speaker, _ in turns] == ["user", "agent"]


def test_patterns_know_no_brackets() -> None:
    rules = parse_rules("[Bot], *@acme.example", None)
    assert rules.find("[bot]") == ("agent", "[Bot]")
    assert rules.find("maria@ACME.example") == ("agent", "*@acme.example")
    assert rules.find("b") is None


def test_rules_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(SourceError, match="--agents 'Ma"):
        SideRules(("Ma*",), ("*ria",)).find("Maria")
    with pytest.raises(SourceError, match="names nobody"):
        parse_rules(" , ", None)


def test_an_agent_is_who_speaks_in_many_conversations() -> None:
    texts = _source(("Jonas", "Maria"), ("Priya", "Maria"), ("Lee", "Maria"))
    assert [[speaker for speaker, _ in turns] for turns in read_all(*texts)] == [["user", "agent", "user"]] * 3


@pytest.mark.parametrize(
    "pairs",
    [
        [("Jonas", "Maria")],
        [("Jonas", "Maria"), ("Priya", "Maria")],
        [("Acme Corp", "Maria"), ("Acme Corp", "Tom"), ("Acme Corp", "Luis")],
        [("quiet_fern", "moth")] * 5,
    ],
)
def test_what_the_count_does_not_tell_is_rejected(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(RowError, match="--agents"):
        read_all(*_source(*pairs))


def test_two_strangers_beside_an_agent_are_rejected() -> None:
    texts = [*_source(("Jonas", "Maria"), ("Priya", "Maria"), ("Lee", "Maria")), "Bo: a\nMaria: b\nTom: c"]
    with pytest.raises(RowError):
        read_all(*texts)


def test_the_companys_domain_tells() -> None:
    pairs = [
        ("jo@gmail.com", "maria@acme.example"),
        ("li@holz.example", "tom@acme.example"),
        ("bo@x.example", "m@acme.example"),
    ]
    assert [[speaker for speaker, _ in turns] for turns in read_all(*_source(*pairs))] == [
        ["user", "agent", "user"]
    ] * 3


def test_labels_of_one_known_role_settle_the_other() -> None:
    (turns,) = read_all("Visitor 1: a\nRobo: b\nMaria: c")
    assert [speaker for speaker, _ in turns] == ["user", "agent", "agent"]
    (turns,) = read_all("Jonas: a\nAgent: b")
    assert [speaker for speaker, _ in turns] == ["user", "agent"]


def test_a_name_that_answers_the_customer_elsewhere_is_an_agent() -> None:
    first = "Customer: a\nAgent: b\nCustomer: c\nTom: d\nCustomer: e"
    second = "Customer: a\nAgent: b\nCustomer: c\nTom: d\nTom: e\nCustomer: f"
    assert [speaker for speaker, _ in read_all(first, second)[1]] == ["user", "agent", "user", "agent", "agent", "user"]


def test_a_turn_of_nobody_rejects_the_whole_conversation() -> None:
    with pytest.raises(RowError, match="--map speaker"):
        Sides().resolve(_conversation(RawTurn("a", speaker="user"), RawTurn("b")))


def test_turns_with_sides_need_no_labels() -> None:
    turns = Sides().resolve(
        _conversation(RawTurn("a", speaker="user"), RawTurn("n", kind="note"), RawTurn("b", speaker="agent"))
    )
    assert turns == (Turn("user", "a"), Turn("agent", "b"))
    turns = Sides(SideRules(("Maria",))).resolve(_conversation(RawTurn("a", speaker="user"), RawTurn("b", "Maria")))
    assert turns == (Turn("user", "a"), Turn("agent", "b"))


def test_accounts_say_how_each_side_was_decided() -> None:
    counted = Census()
    counted.feed(_conversation(RawTurn("a", "Customer", "user"), RawTurn("b", "Maria")))
    accounts = counted.decide().accounts
    assert [(account.label, account.num_conversations, account.side) for account in accounts] == [
        ("Customer", 1, "user"),
        ("Maria", 1, "agent"),
    ]
    assert accounts[1].why == "speaks with the customer"
    assert counted.decide(SideRules(("Mario",))).unused_patterns == ["Mario"]


def test_the_census_forgets_customers_before_it_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "MAX_LABELS", 50)
    counted = Census()
    for number in range(500):
        counted.feed(_conversation(RawTurn("a", f"Customer no one knows {number}x"), RawTurn("b", "Maria")))
        assert len(counted.counts) <= 52
    assert counted.counts["maria"].num_conversations == 500
    turns = counted.decide().resolve(_conversation(RawTurn("a", "Somebody"), RawTurn("b", "Maria")))
    assert [turn.speaker for turn in turns] == ["user", "agent"]


def test_a_report_of_the_system_is_not_its_voice() -> None:
    turns = [RawTurn("a", "User", "user"), RawTurn("Ticket was closed", "System", kind="event")]
    assert voice_system(turns) == turns


_LABELS = st.sampled_from(["Customer", "Agent", "Maria", "Jonas", "Bot", ""])
_TURNS = st.lists(
    st.builds(RawTurn, st.text(min_size=1, max_size=5), _LABELS, st.sampled_from(["user", "agent", None]))
)


@given(_TURNS, st.lists(st.sampled_from(["M*", "*o*", "J?nas"]), max_size=2))
def test_a_conversation_is_resolved_whole_or_rejected(turns: list[RawTurn], agents: list[str]) -> None:
    conversation = RawConversation("1", tuple(turns))
    counted = Census()
    counted.feed(conversation)
    try:
        resolved = counted.decide(SideRules(tuple(agents))).resolve(conversation)
    except RowError as error:
        assert str(error)
    else:
        assert [turn.text for turn in resolved if turn.text.strip()] == [
            turn.text for turn in turns if turn.text.strip()
        ]
