"""Transcripts in a cell: which lines open turns, and what is said in them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from producer.readers.rows import RowError
from producer.readers.transcripts.transcript import split_transcript
from tests.unit.transcripts import read

_SAID = [("user", "It broke."), ("agent", "Since when?"), ("user", "Monday.")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Customer:", "Agent:"),
        ("Client :", "Conseiller :"),
        ("客户：", "客服："),
        ("CUSTOMER>", "AGENT>"),
        ("Customer >>", "Agent >>"),
        ("Customer -", "Agent -"),
        ("Customer –", "Agent –"),
        ("Customer — ", "Agent — "),
        ("Customer |", "Agent |"),
        ("Customer →", "Agent →"),
        ("Customer\t", "Agent\t"),
        ("[Customer]", "[Agent]"),
        ("<Customer>", "<Agent>"),
        ("【客户】", "【客服】"),
        ("**Customer:**", "**Agent:**"),
        ("1. Customer:", "2. Agent:"),
        ("• Customer:", "• Agent:"),
        ("( 0m 1s ) Customer:", "( 1m 3s ) Agent:"),
        ("[10:00:33\u202fAM] Customer:", "[10:01:33\u202fAM] Agent:"),
        ("\u200e[20.11.2025, 10:00:33] Customer:", "\u200e[20.11.2025, 10:00:34] Agent:"),
        ("10:00 a.m. - Customer:", "10:01 a.m. - Agent:"),
        ("Nov 20, 2025 10:00 AM - Customer:", "Nov 20, 2025 10:01 AM - Agent:"),
        ("20. November 2025 um 10:00 Uhr - Kunde:", "20. November 2025 um 10:01 Uhr - Berater:"),
        ("20 de noviembre de 2025, 10:00 - Cliente:", "20 de noviembre de 2025, 10:01 - Agente:"),
        ("2025年11月20日 10:00 お客様：", "2025年11月20日 10:01 担当者："),
        ("오전 10:00 고객:", "오전 10:01 상담원:"),
        ("2025-11-20T10:00:00.000+01:00 Customer:", "2025-11-20T10:00:01.000+01:00 Agent:"),
        ("2025-11-20 10:00:00 CET Customer:", "2025-11-20 10:01:00 CET Agent:"),
        ("Today at 10:00 - Customer:", "Today at 10:01 - Agent:"),
        ("Thu Nov 20 10:00:00 UTC 2025 Customer:", "Thu Nov 20 10:01:00 UTC 2025 Agent:"),
        ("[00:00:01.000 --> 00:00:03.000] Customer:", "[00:00:04.000 --> 00:00:05.000] Agent:"),
        ("10:00 | Customer |", "10:01 | Agent |"),
        ("Customer [10:02:11]:", "Agent [10:03:11]:"),
        ("Customer (10:00):", "Agent (10:01):"),
        ("Customer at 10:00:", "Agent at 10:01:"),
        ("Jonas Brandt (Customer):", "Maria Keller (Agent):"),
        ("👤 Customer:", "🤖 Bot:"),
        ("Visitor 4711:", "Maria K.:"),
        ("Customer:", "Maria from Acme:"),
        ("Patient:", "Dr. Weiss:"),
    ],
)
def test_a_turn_opens_in_many_dresses(first: str, second: str) -> None:
    assert read(f"{first} It broke.\n{second} Since when?") == _SAID[:2]


def test_a_label_may_stand_above_its_words() -> None:
    text = "Maria Keller  10:02 AM\nSince when?\n\nJonas  10:03 AM\nMonday.\nI think."
    assert read(text, agents="Maria*") == [("agent", "Since when?"), ("user", "Monday. I think.")]


@pytest.mark.parametrize(
    "name", ["Maria", "maria keller", "Mitarbeiterin Maria", "Keller, Maria", "佐藤", "سارة", "M. K."]
)
def test_a_name_that_appears_once_is_a_turn_of_its_own(name: str) -> None:
    assert read(f"Customer: It broke.\n{name}: Since when?\nCustomer: Monday.") == _SAID


@pytest.mark.parametrize(
    "line",
    [
        "System: Windows 11",
        "Operator: Vodafone",
        "Company: Holzbau Muster",
        "Router: Fritzbox 7590",
        "Order number: 4711",
        "Problem: the light blinks.",
        "my question: why?",
        "> Agent: we refund you",
        '"Agent: we refund you"',
        "and your support: nothing happened",
        "at 10:30 I said: no",
        "https://acme.example/x: broken",
        "System: Windows 11\nUser: jbrandt\nSupport: I tried that\nError: 0x8007",
        "Name: Jo\nCompany: X\nPhone: 5",
        "2025-11-20T10:00:00Z kernel: down\n2025-11-20T10:00:01Z kernel: down",
    ],
)
def test_what_a_customer_pastes_stays_his_text(line: str) -> None:
    text = f"Customer: It broke.\n{line}\nAgent: Since when?\nCustomer: Monday."
    expected = [("user", " ".join(f"It broke. {line}".split())), *_SAID[1:]]
    assert read(text) == expected


def test_in_a_transcript_with_times_only_lines_with_such_a_time_open_turns() -> None:
    text = "[10:00] Customer: He wrote:\nAgent: we refund you\n2025-11-20 10:00 Agent: no\n[10:01] Agent: Since when?"
    assert read(text) == [
        ("user", "He wrote: Agent: we refund you 2025-11-20 10:00 Agent: no"),
        ("agent", "Since when?"),
    ]


def test_a_line_that_may_be_a_speaker_or_a_text_is_rejected_with_what_to_do() -> None:
    with pytest.raises(RowError, match=r"'Symptoms'.*--agents Symptoms"):
        read("Customer: Hello.\nSymptoms: it blinks all night long.\nAgent: Since when?\nCustomer: Monday.")


def test_a_third_person_is_not_taken_for_an_agent() -> None:
    text = "Customer: Here is my son.\nPeter: Hi, it is me.\nAgent: Hello Peter.\nCustomer: Bye."
    with pytest.raises(RowError, match="'Peter'"):
        read(text)
    assert read(text, customers="Peter")[1] == ("user", "Hi, it is me.")


@pytest.mark.parametrize(
    "line",
    [
        "Internal note: cap it at 10 EUR\nand tell nobody",
        "Note (Maria): cap it",
        "System: Conversation was assigned to Tier 2",
        "*** Anna joined the chat ***",
        "--- Anna left ---",
        "[Chat transferred to Anna]",
    ],
)
def test_notes_and_events_are_told_apart_from_speech(line: str) -> None:
    text = f"Customer: It broke.\n{line}\nAgent: Since when?\nCustomer: Monday."
    assert read(text) == _SAID
    assert [turn.kind for turn in split_transcript(text)].count("message") == 3


def test_what_follows_an_event_belongs_to_who_spoke_before() -> None:
    text = "Customer: It broke.\n*** Anna joined ***\nBadly.\nAgent: Since when?"
    assert read(text) == [("user", "It broke."), ("user", "Badly."), ("agent", "Since when?")]


def test_a_preamble_is_no_speech() -> None:
    text = (
        "Chat Transcript\nChat started: 2025-11-20 11:02 AM UTC\nSubject: Router\n\n"
        "(11:02:11 AM) Visitor 4711: It broke.\n(11:02:48 AM) *** Maria Keller joined the chat ***\n"
        "(11:03:25 AM) Maria Keller: Since when?\n(11:04:00 AM) Visitor 4711: Monday."
    )
    assert read(text) == _SAID


def test_a_header_says_whose_the_names_are() -> None:
    text = "Agent: Maria Keller\nCustomer: Jonas\nDate: 2025-11-20\n\nMaria Keller: Hello.\nJonas: Hi."
    assert read(text) == [("agent", "Hello."), ("user", "Hi.")]


def test_a_dialogue_system_is_the_agent_and_a_prompt_is_not() -> None:
    assert read("User: Pizza.\nSystem: Which size?\nUser: Big.")[1] == ("agent", "Which size?")
    assert read("System: You are helpful.\nUser: Hi.\nAssistant: Hello.") == [("user", "Hi."), ("agent", "Hello.")]


@pytest.mark.parametrize("mark", [" ", "\\n", "\\r\\n", "<br>", "<br />", " | ", " / ", " || ", "\t"])
@pytest.mark.parametrize("dress", ["{}:", "[10:00] {}:", "{} (10:00):"])
def test_lost_line_breaks_are_found_again(mark: str, dress: str) -> None:
    said = [("Customer", "It broke."), ("Agent", "Since when?"), ("Customer", "Monday.")]
    assert read(mark.join(f"{dress.format(label)} {text}" for label, text in said)) == _SAID


def test_names_part_a_line_where_sentences_end() -> None:
    text = "Jonas Brandt: It broke. Maria Keller: Since when? Jonas Brandt: Monday."
    assert read(text, agents="Maria*") == _SAID


def test_words_within_a_sentence_part_no_line() -> None:
    text = "Customer: I was told by your Agent: wait. Agent: Sorry."
    assert read(text) == [("user", "I was told by your Agent: wait."), ("agent", "Sorry.")]
    assert read("Customer: my order: 55 is late. Details: none. a / b | c") == [
        ("user", "my order: 55 is late. Details: none. a / b | c")
    ]


def test_chinese_has_no_spaces_between_turns() -> None:
    assert read("客户：坏了。客服：什么型号？客户：X1。") == [
        ("user", "坏了。"),
        ("agent", "什么型号？"),
        ("user", "X1。"),
    ]


def test_transcripts_newest_first_are_turned_over() -> None:
    text = (
        "2025-11-20 10:02 Customer: Monday.\n2025-11-20 10:01 Agent: Since when?\n2025-11-20 10:00 Customer: It broke."
    )
    assert read(text) == _SAID


@pytest.mark.parametrize("text", ["", " \n", "Hello, my router is broken. Problem: it blinks.", "*** Anna joined ***"])
def test_nobody_speaks(text: str) -> None:
    with pytest.raises(RowError):
        split_transcript(text)


def test_a_line_without_breaks_that_never_ends_is_refused() -> None:
    with pytest.raises(RowError, match="no line breaks"):
        split_transcript("Customer: hi " + "a: " * 20_000)


_TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), min_size=1, max_size=30).filter(str.strip)
_PAIRS = st.sampled_from(
    [("Customer", "Agent"), ("Kunde", "Berater"), ("客户", "客服"), ("العميل", "الموظف"), ("USER", "BOT")]
)
_DRESSES = st.sampled_from(["{}: ", "[10:00] {}: ", "10:00 - {}: ", "{} > ", "{} – ", "[{}] ", "{} (10:00): ", "{}： "])


@given(_PAIRS, _DRESSES, st.lists(_TEXT, min_size=2, max_size=8))
def test_every_word_comes_back_in_its_speakers_mouth(pair: tuple[str, str], dress: str, said: list[str]) -> None:
    assume(not any(word in text.casefold() for text in said for word in ("10", "am", "pm")))
    lines = [f"{dress.format(pair[number % 2])}{text}" for number, text in enumerate(said)]
    expected = [("agent" if number % 2 else "user", " ".join(text.split())) for number, text in enumerate(said)]
    assert read("\n".join(lines)) == expected


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["Customer:", "Agent", " - ", "\n", "[10:00]", "x", ":", "|", "<br>"])).map("".join)
)
def test_any_text_is_split_or_rejected_and_nothing_is_made_up(text: str) -> None:
    try:
        turns = split_transcript(text)
    except RowError as error:
        assert str(error)
    else:
        kept = "".join(turn.text for turn in turns)
        assert len("".join(kept.split())) <= len("".join(text.split()))
