"""Words and flags by which exports tell customer and company apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.readers.rows import RowError
from producer.readers.sides import roles
from producer.readers.sides.speakers import find_role, is_field_word, take_inbound, take_speaker


@pytest.mark.parametrize(
    ("user", "agent"),
    [
        ("END_USER", "AUTOMATED_AGENT"),
        ("lead", "AgentBot"),
        ("Kunde", "Mitarbeiterin"),
        ("Cliente", "Conseillère"),
        ("Usuário", "Atendente"),
        ("Utente", "Operatore"),
        ("Klant", "Medewerker"),
        ("Użytkownik", "Konsultant"),
        ("MÜŞTERİ", "MÜŞTERİ TEMSİLCİSİ"),
        ("Клиент", "Оператор"),
        ("\u200fالعميل", "الموظف"),
        ("ΠΕΛΆΤΗΣ", "Εκπρόσωπος"),
        ("לקוח", "נציג"),
        ("ग्राहक", "एजेंट"),
        ("客户", "客服"),
        ("お客様", "オペレーター"),
        ("고객", "상담원"),
        ("ลูกค้า", "เจ้าหน้าที่"),
        ("Visitor 47110001", "Agent #2"),
        ("👤 Customer", "Agent 🎧"),
        ("Jonas Brandt (Customer)", "Maria (Agent)"),
        ("Customer (Anna)", "Tom (Tier 2)"),
        ("Customer - Anna", "Agent Maria Keller"),
        ("Guest", "Guest Relations"),
        ("Client", "Acme Support"),
    ],
)
def test_both_sides_are_known_by_their_words(user: str, agent: str) -> None:
    assert (find_role(user), find_role(agent)) == ("user", "agent")


@pytest.mark.parametrize(
    "word", ["Internal note", "PRIVATE_NOTE", "Note by Maria", "Interne Notiz", "내부 메모", "内部备注"]
)
def test_notes_are_no_side(word: str) -> None:
    assert find_role(word) == "note"


@pytest.mark.parametrize("word", ["System", "activity", "tool", "системное сообщение", "系统消息", "Systemmeldung"])
def test_events_are_no_side(word: str) -> None:
    assert find_role(word) == "event"


@pytest.mark.parametrize(
    "word", ["Maria Keller", "#Person1#", "clıent", "Router", "I asked your support", "my customer", "", "123", "😀"]
)
def test_names_and_sentences_are_no_roles(word: str) -> None:
    assert find_role(word) is None


def test_no_word_stands_for_two_things() -> None:
    groups = [roles.USER_WORDS, roles.AGENT_WORDS, roles.NOTE_WORDS, roles.EVENT_WORDS]
    expected = ["user", "agent", "note", "event"]
    for words, role in zip(groups, expected, strict=True):
        wrong = {word: find_role(word) for word in words.split(",") if word.strip() and find_role(word) != role}
        assert not wrong


@given(st.text(max_size=90))
def test_any_word_is_a_role_or_none_however_it_is_spelled(word: str) -> None:
    role = find_role(word)
    assert role in ("user", "agent", "note", "event", None)
    assert find_role(f" {word}\u200e ") == role or len(word) > 70
    is_field_word(word)


def test_a_dialogue_system_speaks_for_the_company() -> None:
    assert take_speaker("SYSTEM") == "agent"


def test_an_unknown_speaker_is_refused_with_what_to_do() -> None:
    with pytest.raises(RowError, match=r"'Maria'.*--agents"):
        take_speaker("Maria")


@pytest.mark.parametrize(("flag", "side"), [("1.0", "user"), ("Incoming", "user"), ("sent", "agent"), (False, "agent")])
def test_flags(flag: object, side: str) -> None:
    assert take_inbound(flag) == side
