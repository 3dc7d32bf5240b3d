"""Mailboxes, and chats that WhatsApp exported."""

import tempfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.readers.chats.mbox import is_mbox, read_mbox
from producer.readers.chats.whatsapp import is_whatsapp, read_whatsapp
from producer.readers.containers.locate import locate
from producer.readers.raw import RawConversation
from producer.readers.rows import Rejected
from tests.unit.sources import make_zip, write

_FROM = b"From - Thu Nov 20 10:00:00 2025\n"
_WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=12)


def _mail(sender: str, text: str, *, to: str = "help@acme.com", subject: str = "Router", **headers: str) -> bytes:
    message = EmailMessage()
    for name, value in {"From": sender, "To": to, "Subject": subject, **headers}.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return bytes(message)


def _read_mbox(folder: Path, *mails: bytes, max_chars: int = 10_000) -> tuple[list[RawConversation], list[Rejected]]:
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        content = locate(str(write(Path(inside), b"".join(_FROM + mail + b"\n" for mail in mails), "a.mbox")))
        assert is_mbox(content.head())
        outcomes = list(read_mbox(content, max_chars))
    return (
        [outcome[1] for outcome in outcomes if not isinstance(outcome, Rejected)],
        [outcome for outcome in outcomes if isinstance(outcome, Rejected)],
    )


def _said(conversation: RawConversation) -> list[tuple[str, str]]:
    return [(turn.label, turn.text.strip()) for turn in conversation.turns]


def test_messages_that_answer_one_another_are_a_conversation(tmp_path: Path) -> None:
    (first, second), rejected = _read_mbox(
        tmp_path,
        _mail("Ann <Ann@x.org>", "it broke", Message_ID="<1@x>", Date="Thu, 20 Nov 2025 10:00:00 +0100"),
        _mail("bob@y.org", "mine too", Message_ID="<2@y>"),
        _mail("help@acme.com", "since when?", to="ann@x.org", Message_ID="<3@a>", In_Reply_To="<1@x>"),
        _mail("ann@x.org", "Monday", Message_ID="<4@x>", References="<1@x> <3@a>", subject="Re: something else"),
    )
    assert not rejected
    assert first.external_id == "1@x"
    assert _said(first) == [("ann@x.org", "it broke"), ("help@acme.com", "since when?"), ("ann@x.org", "Monday")]
    assert first.turns[0].time == 1763629200.0
    assert first.turns[0].is_email
    assert _said(second) == [("bob@y.org", "mine too")]


def test_a_message_that_answers_two_threads_makes_them_one(tmp_path: Path) -> None:
    (only,), _ = _read_mbox(
        tmp_path,
        _mail("a@x.org", "one", Message_ID="<1@x>"),
        _mail("a@x.org", "two", Message_ID="<2@x>", subject="Other"),
        _mail("b@x.org", "both", Message_ID="<3@x>", References="<1@x> <2@x>", subject="Third"),
    )
    assert [text for _, text in _said(only)] == ["one", "two", "both"]


@pytest.mark.parametrize("prefix", ["Re: ", "AW: ", "RE: Fwd: ", "Antw.: ".replace(".", "")])
def test_a_reply_without_references_is_found_by_its_subject(tmp_path: Path, prefix: str) -> None:
    (first, second), _ = _read_mbox(
        tmp_path,
        _mail("ann@x.org", "it broke"),
        _mail("bob@y.org", "mine too"),
        _mail("help@acme.com", "Ann, since when?", to="ann@x.org", subject=f"{prefix}Router"),
    )
    assert [text for _, text in _said(first)] == ["it broke", "Ann, since when?"]
    assert [text for _, text in _said(second)] == ["mine too"]


def test_new_messages_of_one_subject_stay_apart(tmp_path: Path) -> None:
    form = [_mail("form@acme.com", text, subject="Contact form") for text in ("from Ann", "from Bob")]
    conversations, _ = _read_mbox(tmp_path, *form)
    assert len(conversations) == 2
    assert len({conversation.external_id for conversation in conversations}) == 2


def test_a_message_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    mail = _mail("ann@x.org", "it broke", Message_ID="<1@x>")
    (only,), _ = _read_mbox(tmp_path, mail, mail)
    assert len(only.turns) == 1


def test_text_is_taken_before_html_and_attachments_are_left_out(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"] = "ann@x.org"
    message.set_content("plain, café")
    message.add_alternative("<p>rich</p>", subtype="html")
    message.add_attachment("id,transcript", filename="log.txt")
    html = EmailMessage()
    html["From"] = "=?utf-8?q?J=C3=B6rg?="
    html.set_content("<p>only rich</p>", subtype="html")
    conversations, _ = _read_mbox(tmp_path, bytes(message), bytes(html))
    assert _said(conversations[0]) == [("ann@x.org", "plain, café")]
    assert not conversations[0].turns[0].is_html
    assert conversations[1].turns[0].is_html
    assert conversations[1].turns[0].label == "Jörg"


@pytest.mark.parametrize(
    "header", [{"Auto_Submitted": "auto-replied"}, {"Precedence": "auto_reply"}, {"X_Autoreply": "yes"}]
)
def test_an_automatic_answer_is_an_event(tmp_path: Path, header: dict[str, str]) -> None:
    (only,), _ = _read_mbox(tmp_path, _mail("ann@x.org", "I am away", **header))
    assert only.turns[0].kind == "event"


def test_a_line_of_text_that_begins_with_from_is_text(tmp_path: Path) -> None:
    text = "Hello\n\nFrom now on it works.\n\nBye"
    (only,), _ = _read_mbox(
        tmp_path,
        _mail("ann@x.org", text),
    )
    assert only.turns[0].text.strip() == text
    (only,), _ = _read_mbox(
        tmp_path, _mail("ann@x.org", "a\n\nx").replace(b"\n\nx", b"\n\n>From - Thu Nov 20 10:00:00 2025")
    )
    assert only.turns[0].text.strip() == "a\n\nFrom - Thu Nov 20 10:00:00 2025"


def test_a_conversation_that_is_too_long_is_rejected_alone(tmp_path: Path) -> None:
    conversations, (rejected,) = _read_mbox(
        tmp_path, _mail("a@x.org", "long " * 50), _mail("b@x.org", "short", subject="Other"), max_chars=100
    )
    assert [_said(each) for each in conversations] == [[("b@x.org", "short")]]
    assert rejected.line == 1
    assert "AFTERCALL_MAX_CONVERSATION_CHARS" in rejected.reason


def test_a_message_nested_too_deeply_is_rejected_alone(tmp_path: Path) -> None:
    nested = b"From: a@x.org\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(2_000)
    )
    conversations, (rejected,) = _read_mbox(tmp_path, nested, _mail("b@x.org", "short"))
    assert "cannot be taken apart" in rejected.reason
    assert len(conversations) == 1


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_reading_of_a_mailbox(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    conversations, rejected = _read_mbox(tmp_path_factory.mktemp("mbox"), b"From: a@x.org\n" + junk)
    assert conversations or rejected


# -- WhatsApp


def _read_chat(folder: Path, text: str, name: str = "WhatsApp Chat with Sofia.txt") -> RawConversation:
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        content = locate(str(write(Path(inside), text, name)))
        assert is_whatsapp(content, "utf-8")
        ((_, conversation),) = read_whatsapp(content, "utf-8", 10_000)  # type: ignore[misc]
    return conversation


@pytest.mark.parametrize(
    "opening",
    [
        "[20.11.25, 10:02:11] ",
        "[11/20/25, 10:02:11\u202fAM] ",
        "[2025-11-20, 10:02:11 p. m.] ",
        "11/20/25, 10:02 AM - ",
        "20.11.25, 10:02 - ",
        "20/11/2025 10:02 - ",
        "2025/11/20 上午10:02 - ",
    ],
)
def test_both_ways_of_writing_a_line_are_read(tmp_path: Path, opening: str) -> None:
    text = (
        f"{opening}Messages and calls are end-to-end encrypted. No one outside can read them.\n"
        f"{opening}Sofia Rossi: My parcel: lost?\nIt says delivered.\n\n[nobody] got it\n"
        f"{opening}Acme Support: Is it 12 Mill Lane?\n"
        f"{opening}Sofia Rossi: <Media omitted>\n"
        f"\u200e{opening}Sofia Rossi: \u200eimage omitted\n"
        f"{opening}~\u202fSofia Rossi: No, 21! \u200e<This message was edited>\n"
    )
    conversation = _read_chat(tmp_path, text)
    assert conversation.external_id == "WhatsApp Chat with Sofia"
    assert [(turn.label, turn.text) for turn in conversation.turns if turn.kind == "message"] == [
        ("Sofia Rossi", "My parcel: lost?\nIt says delivered.\n\n[nobody] got it"),
        ("Acme Support", "Is it 12 Mill Lane?"),
        ("Sofia Rossi", "No, 21!"),
    ]
    assert [turn.kind for turn in conversation.turns].count("event") == 3


def test_a_chat_in_a_phones_archive_has_the_name_of_the_archive(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        make_zip({"_chat.txt": b"[20.11.25, 10:02:11] Sofia: Hi\n", "a.jpg": b"\xff\xd8\xff"}),
        "Chat - Sofia.zip",
    )
    content = locate(str(path))
    ((_, conversation),) = read_whatsapp(content, "utf-8", 100)  # type: ignore[misc]
    content.close()
    assert conversation.external_id == "Chat - Sofia"


def test_a_chat_that_is_too_long_is_rejected(tmp_path: Path) -> None:
    content = locate(str(write(tmp_path, "[20.11.25, 10:02:11] Sofia: Hi\n" * 50, "a.txt")))
    (rejected,) = read_whatsapp(content, "utf-8", 20)
    assert isinstance(rejected, Rejected)


@pytest.mark.parametrize("text", ["id,transcript\n1,user: a\n", "customer: hi\nagent: hello\n", '{"a": 1}\n', "\n"])
def test_other_text_is_no_chat(tmp_path: Path, text: str) -> None:
    content = locate(str(write(tmp_path, text, "a.txt")))
    assert not is_whatsapp(content, "utf-8")
    assert not is_mbox(content.head())


@given(st.lists(st.tuples(_WORDS, st.lists(_WORDS, min_size=1, max_size=3)), min_size=1, max_size=6), st.booleans())
def test_every_message_of_a_chat_is_a_turn(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, list[str]]], is_android: bool
) -> None:
    opening = "11/20/25, 10:02 AM - " if is_android else "[20.11.25, 10:02:11] "
    text = "".join(f"{opening}{name}: {chr(10).join(lines)}\n" for name, lines in said)
    conversation = _read_chat(tmp_path_factory.mktemp("chat"), text)
    expected = [(name, "\n".join(lines)) for name, lines in said]
    missing = {"nan", "NaN", "NAN", "null", "NULL", "Null"}
    assert [(turn.label, turn.text) for turn in conversation.turns] == [
        (name, "" if words in missing else words) for name, words in expected
    ]
