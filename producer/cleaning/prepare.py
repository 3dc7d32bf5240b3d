"""What an export holds to plain text with line breaks: the step before a transcript is split and a turn is cleaned."""

import re

from producer.cleaning.characters import unescape_entities
from producer.cleaning.email_text import extract_new_text, is_auto_reply, looks_like_email
from producer.cleaning.html_text import html_to_text, looks_like_html

#: How Slack writes people, channels and links into a text; a `<` that somebody typed is escaped there.
_SLACK = re.compile(
    r"<(?:(?P<person>[@!](?:[UWS][A-Z0-9]{5,}|here|channel|everyone|subteam\^\w+))(?:\|[^<>|]{1,80})?"
    r"|#C[A-Z0-9]{5,}(?:\|(?P<channel>[^<>|]{1,80}))?|(?:https?|mailto|tel):[^<>|\s]+\|(?P<link>[^<>|]{1,300}))>"
)

__all__ = ["is_auto_reply", "looks_like_email", "prepare_text"]


def prepare_text(text: str, *, is_html: bool = False, is_email: bool = False) -> str:
    """Text as a reader sees it; of an e-mail, only what was newly written.

    Args:
        is_html: the export says so. Otherwise a text counts as HTML if it plainly is: `a < b` stays as it is.
        is_email: the text is a whole e-mail, as mail programs send it. Otherwise quotes and signatures stay.
    """
    if "<" in text and not is_html:
        text = _SLACK.sub(_show_slack, text)
    if is_html:
        text = html_to_text(text)
    elif "<" in text or "&" in text:
        text = unescape_entities(text)
        if looks_like_html(text):
            text = html_to_text(text)
    return extract_new_text(text) if is_email else text


def _show_slack(match: re.Match[str]) -> str:
    """People as handles, which cleaning takes; channels and links by their names."""
    if match["person"]:
        return "@" + match["person"].strip("@!").replace("^", "")
    return match["link"] or (f"#{match['channel']}" if match["channel"] else "")
