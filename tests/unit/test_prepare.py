"""HTML to text: what a reader sees stays, everything else goes, and what only looks like a tag is left alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.cleaning.html_text import looks_like_html
from producer.cleaning.prepare import prepare_text

_WORDS = st.lists(st.text(st.sampled_from("abcxyzäß"), min_size=1, max_size=6), min_size=1, max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<div dir="ltr">Hi,<br>my <b>invoice</b> is wrong&nbsp;&amp; late.</div>', "Hi,\nmy invoice is wrong & late."),
        ("<style>.x{color:red}</style><p>Hello</p><script>alert(1)</script>", "Hello"),
        ("<html><head><title>Mail</title></head><body>Hello</body></html>", "Hello"),
        ('<img src="https://x.y/p.png" alt="logo">Hello <a href="https://x.y">there</a>', "Hello there"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two</div><div><br></div><div>three</div>", "one\ntwo\n\nthree"),
        ("<ul><li>one</li><li>two</li></ul>three", "one\ntwo\nthree"),
        ("<table><tr><td>Order</td><td>5</td></tr><tr><td>Name</td><td>Jo</td></tr></table>", "Order 5\nName Jo"),
        ("Customer: <b>hi</b>\nAgent: hello", "Customer: hi\nAgent: hello"),
        ("one<!-- two -->three<br>four", "onethree\nfour"),
        ("<p>new</p><blockquote>old<br>older</blockquote>new again", "new\n\n> old\n> older\nnew again"),
        ("<p>write to <jo@acme.example> if 3 <4</p>", "write to <jo@acme.example> if 3 <4"),
        ("&lt;p&gt;escaped &amp;amp; sent&lt;/p&gt;", "escaped & sent"),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, text: str) -> None:
    assert prepare_text(html) == text


@pytest.mark.parametrize(
    "text",
    ["a < b and c > d", "I <3 it, we are <b and c> d", "press <Enter>", "from <jo@acme.example>", "x<y>z", "->", ""],
)
def test_what_is_no_html_stays(text: str) -> None:
    assert prepare_text(text) == text


def test_a_column_that_is_html_is_read_as_html_without_any_sign_of_it() -> None:
    assert prepare_text("5 &lt; 6 &amp;lt; 7", is_html=True) == "5 < 6 &lt; 7"
    assert prepare_text("<p>type &lt;p&gt; here", is_html=True) == "type <p> here"


@given(st.lists(_WORDS, min_size=1, max_size=6), st.sampled_from(["div", "p", "li", "h2", "pre"]))
def test_no_word_of_a_block_is_lost_and_no_block_is_glued_to_the_next(texts: list[str], tag: str) -> None:
    html = "".join(f"<{tag} class='x'>{text}</{tag}>" for text in texts)
    assert [line for line in prepare_text(html).split("\n") if line] == texts


@given(st.text(st.sampled_from("ab <>/&;=\"'!-pbr\n"), max_size=60))
def test_nothing_of_a_text_without_known_tags_is_lost(text: str) -> None:
    prepared = prepare_text(text)
    if not looks_like_html(text) and "&" not in text:
        assert prepared == text
    assert prepare_text(text, is_html=True).count("\ue0f0") == 0


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000,
        "<p " * 50_000 + "</p>",
        "<a" + " " * 200_000 + "</a>",
        "<b>x</b>" + " " * 200_000 + "y",
        "<" * 200_000 + "</p>",
        "<!--" * 50_000,
        "<br>" * 4_000 + "<blockquote>" * 4_000,
    ],
)
def test_html_made_to_take_long_takes_little_time(html: str) -> None:
    start = time.thread_time()
    prepare_text(html)
    assert time.thread_time() - start < 2
