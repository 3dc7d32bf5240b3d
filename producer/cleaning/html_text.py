"""HTML to the text that a reader sees, by selectolax. Line breaks stay: transcripts are split after this."""

import re

#: A tag that HTML knows, written as tags are: `a < b`, `<3` and `<jo@example.com>` are none.
_NAMES = (
    "a|abbr|address|article|b|blockquote|body|br|button|center|code|col|dd|del|div|dl|dt|em|figure|font|footer|form|"
    "h[1-6]|head|header|hr|html|i|img|input|ins|label|li|main|nav|ol|p|pre|q|s|script|section|small|span|"
    "strike|strong|style|sub|sup|svg|table|tbody|td|tfoot|th|thead|title|tr|tt|u|ul|video|wbr|o:p"
)
_TAG = rf"/?(?:{_NAMES})(?:\s+[\w:-]+\s*=[^<>]*|\s*/?)>|(?:link|meta|base)\s+[\w:-]+\s*=|!--|!doctype\b|\?xml\b"
#: What shows that a text is HTML, if nobody says so: a tag that closes, stands alone, or has an attribute.
_IS_HTML = re.compile(
    rf"</(?:{_NAMES})\s*>|<(?:br|hr)\s*/?>|<p>|<(?:{_NAMES})\s+[\w:-]+\s*=\s*[\"'][^<>]*>|<!--|<!doctype\b",
    re.IGNORECASE,
)
#: A `<` that opens no tag. The parser would take what follows for one and lose it.
_LONE = re.compile(rf"<(?!{_TAG})", re.IGNORECASE)

_UNSEEN = ["head", "script", "style", "title", "template", "noscript", "svg"]
#: What stands on lines of its own; the parser is asked once for all that matters.
_LAYOUT = (
    "br, td, th, p, address, article, blockquote, center, dd, div, dl, dt, figure, footer, form, h1, h2, h3, h4, h5, "
    "h6, header, hr, li, main, nav, ol, pre, section, table, tr, ul"
)
#: More than any message has: what the parser does for nested tags grows with the square of their depth.
_MAX_TAGS = 10_000
#: Where a block, a paragraph, a break is, and where a blockquote begins and ends, while all of it is one text.
_BLOCK, _PARAGRAPH, _BREAK, _QUOTE, _UNQUOTE = "\ue0f0", "\ue0f1", "\ue0f2", "\ue0f3", "\ue0f4"
_AROUND = {"p": (_PARAGRAPH, _PARAGRAPH), "blockquote": (_BLOCK + _QUOTE, _UNQUOTE + _BLOCK)}
_MARKED = f"{_BLOCK}{_PARAGRAPH}{_BREAK}"
_SPACE = " \\t\\r\\n\xa0"
#: It starts at the first white space or not at all, else a long run of spaces would take quadratic time.
_GAP = re.compile(f"(?<![{_SPACE}])[{_SPACE}]*+[{_MARKED}][{_MARKED}{_SPACE}]*")
_EMPTY_LINE = re.compile(f"{_PARAGRAPH}|{_BREAK}[^{_BREAK}]*{_BREAK}|{_BLOCK}[^{_BREAK}]*{_BREAK}")


def looks_like_html(text: str) -> bool:
    """Whether a text is plainly HTML."""
    return "<" in text and _IS_HTML.search(text) is not None


def html_to_text(html: str) -> str:
    """The text of HTML: a line for each block and each `<br>`, entities as characters, `> ` before quoted lines."""
    if "<" not in html and "&" not in html:
        return html
    from selectolax.lexbor import LexborHTMLParser

    if html.count("<") > _MAX_TAGS:
        return re.sub(r"<[^<>]*>", "\n", html).strip()
    tree = LexborHTMLParser(_LONE.sub("&lt;", html))
    tree.strip_tags(_UNSEEN, recursive=True)
    for node in tree.css(_LAYOUT):
        if node.tag == "br":
            node.replace_with(_BREAK)
        elif node.tag in ("td", "th"):
            node.insert_after(" ")
        else:
            before, after = _AROUND.get(node.tag or "", (_BLOCK, _BLOCK))
            node.insert_before(before)
            node.insert_after(after)
    text = tree.body.text() if tree.body else ""
    text = _GAP.sub(_break_lines, text).replace("\xa0", " ")
    return (_mark_quotes(text) if _QUOTE in text else text).strip()


def _break_lines(gap: re.Match[str]) -> str:
    return "\n\n" if _EMPTY_LINE.search(gap[0]) else "\n"


def _mark_quotes(text: str) -> str:
    """`> ` before each line inside a blockquote, as e-mail in plain text has it."""
    lines: list[str] = []
    depth = 0
    for line in text.split("\n"):
        starts, ends = line.count(_QUOTE), line.count(_UNQUOTE)
        words = line.replace(_QUOTE, "").replace(_UNQUOTE, "").strip()
        lines.append(f"> {words}" if words and depth + starts > 0 else words)
        depth = max(0, depth + starts - ends)
    return "\n".join(lines)
