"""Cleaning: what goes, what stays, and that cleaning what is clean changes nothing."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aftercall.conversation import Conversation, Turn, parse_turns
from producer.clean import clean_conversation, clean_text, clean_turns, has_content

_PIECES = [
    "http://x.y",
    "https",
    "://",
    "www.",
    "WWW.x",
    "(",
    ")",
    '"',
    ".",
    "2",
    "each",
    "\u200d",
    "\u200b",
    "\u202e",
    "@help",
    "@",
    "^JK",
    "^",
    "&amp;",
    "&",
    "amp;",
    "&#38;",
    "#38;",
    "&lt",
    ";",
    "&#x40;",
]
_UGLY = st.lists(st.sampled_from([*_PIECES, " ", "\n", "\r", "\x00", "\x1e", "\u00a0", "\ud83d", "word", "😀"])).map(
    "".join
)
_ANY_TEXT = _UGLY | st.text(st.characters(codec=None, exclude_categories=()))
_TURNS = st.lists(st.builds(Turn, st.sampled_from(["user", "agent"]), _ANY_TEXT))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("see https://t.co/x1 please", "see please"),
        ("@sprintcare and how do you propose we do that", "and how do you propose we do that"),
        ("We can help. ^JK", "We can help."),
        ("^HSB We can help.", "We can help."),
        ("AT&amp;T &gt; all", "AT&T > all"),
        ("twice &amp;amp; over", "twice & over"),
        ("it&#39;s &lt;LINK&gt;", "it's <LINK>"),
        ("&#64;handle is a handle once unescaped", "is a handle once unescaped"),
        ("line\r\nbreak\tand\u00a0no-break", "line break and no-break"),
        ("  around  ", "around"),
        ("nul\x00 and half\ud83d an emoji", "nul and half an emoji"),
        ("ht\x00tp://x stays two words", "ht tp://x stays two words"),
        ("Gracias 😀👩‍👧 señor, 谢谢", "Gracias 😀👩‍👧 señor, 谢谢"),
        ("a lone @ and a lone ^ stay", "a lone @ and a lone ^ stay"),
        ("https://only.a/link @and ^ME", ""),
        ("Press OK: https://x.y/z</p><p>The refund", "Press OK: </p><p>The refund"),
        ("Done (https://x.y/r/1), anything else?", "Done, anything else?"),
        ("See https://x.y/z, then call.", "See, then call."),
        ('Read "https://x.y/z" twice', 'Read "" twice'),
        ("A [guide](https://x.y/g) helps", "A [guide] helps"),
        ("https://en.x.org/Foo_(bar) explains", "explains"),
        ("Go to www.acme.example/help or WWW.ACME.EXAMPLE!", "Go to or!"),
        ("HTTPS://X.Y is one, glued,https://x.y too", "is one, glued, too"),
        ("restart httpd, the http server", "restart httpd, the http server"),
        ("tickets @$15 each, @15 each, @ 20, @5pm", "tickets @$15 each, @15 each, @ 20, @5pm"),
        ("mail jo@acme.example or jo.b+c@acme.example", "mail jo@acme.example or jo.b+c@acme.example"),
        ("ask .@acme's team and @115712", "ask . team and"),
        ("@1 sorry, @2 each", "sorry, @2 each"),
        ("x^2 and 10^6 and ^_^ stay", "x^2 and 10^6 and ^_^ stay"),
        ("Thanks.^JK", "Thanks."),
        ("bye ^Maria 1/2", "bye 1/2"),
        ("a\u200bb\u00adc \u202edeclined\u202c", "abc declined"),
        ("hid\U000e0069\U000e0067den tag", "hidden tag"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("pass\u200dword", "password"),
        ("&#" + "9" * 4301 + ";", "\ufffd"),
        ("&#" + "0" * 5000 + "65; starts the alphabet", "A starts the alphabet"),
    ],
)
def test_one_text(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(_ANY_TEXT)
@example("&" + "amp;" * 20 + "lt;")
@example("&amp" * 12)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


@given(_ANY_TEXT)
def test_nothing_is_left_that_should_go(text: str) -> None:
    clean = clean_text(text)
    assert not re.search(r"(?i)https?://\w|(?<![\w@])www\.\w|(?<![\w+-])@[a-z]|(?<![\w^])\^[A-Z]", clean)
    assert not re.search("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f\0]", clean)
    assert clean == " ".join(clean.split())
    clean.encode()


def test_text_escaped_many_times_over_takes_no_time() -> None:
    # The processor's time for it, a hundredth of a second: others may keep this thread waiting for long.
    start = time.thread_time()
    clean_text("&" + "amp;" * 250_000)
    assert time.thread_time() - start < 2


_WORDS = st.lists(st.text(st.sampled_from("abcxyzäß"), min_size=1, max_size=6), min_size=1, max_size=8)


@given(_WORDS, st.integers(0, 8), st.sampled_from(["https://x.y/a?b=c#d", "www.x.y/a", "HTTP://x.y", "@acme", "^JK"]))
def test_what_is_taken_takes_no_neighbour_along(words: list[str], place: int, taken: str) -> None:
    marked = " ".join([*words[:place], taken, *words[place:]])
    assert clean_text(marked) == " ".join(words)


@given(_WORDS, _WORDS, st.sampled_from(["<", "</p><p>", '"', "»", ")", "]", ", ", "! "]))
def test_a_link_ends_where_a_reader_sees_it_end(before: list[str], after: list[str], end: str) -> None:
    text = f"{' '.join(before)} https://x.y/z{end}{' '.join(after)}"
    assert clean_text(text).split(end.strip())[-1].split() == after


def test_turns_of_one_speaker_are_joined_and_empty_ones_go() -> None:
    turns = [
        Turn("user", "Hello?"),
        Turn("agent", "https://x.y"),
        Turn("user", "Anyone\nthere?"),
        Turn("agent", "Yes."),
    ]
    assert clean_turns(turns) == (Turn("user", "Hello? Anyone there?"), Turn("agent", "Yes."))


@given(_TURNS)
def test_clean_turns_alternate_and_can_be_rendered_and_parsed(turns: list[Turn]) -> None:
    conversation = clean_conversation(Conversation("7", tuple(turns)))
    speakers = [turn.speaker for turn in conversation.turns]
    assert all(one != other for one, other in pairwise(speakers))
    assert parse_turns(conversation.text) == conversation.turns
    assert clean_conversation(conversation) == conversation


@given(_TURNS)
def test_joining_loses_no_word(turns: list[Turn]) -> None:
    words = [word for turn in turns for word in clean_text(turn.text).split()]
    assert [word for turn in clean_turns(turns) for word in turn.text.split()] == words


@pytest.mark.parametrize(
    ("text", "is_enough"),
    [
        ("my parcel never arrived yesterday", True),
        ("Hi there!", False),
        ("hello I need help", False),
        ("12 34 56 78 90 £5 😀 😀 😀", False),
        ("i.e. one-word e.g. it's four", True),
        ("我的包裹昨天没有到请帮忙", True),
        ("您好谢谢", False),
        ("注文した商品がまだ届きません", True),
        ("พัสดุของฉันยังไม่มาถึง", True),
        ("내 소포가 아직 도착하지 않았습니다", True),
        ("", False),
    ],
)
def test_whether_there_is_something_to_summarize(text: str, is_enough: bool) -> None:
    assert has_content([Turn("user", text)] if text else []) is is_enough


def test_words_of_both_speakers_count() -> None:
    assert has_content([Turn("user", "router dead"), Turn("agent", "since when exactly?")])
