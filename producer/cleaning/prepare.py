"""What an export holds to plain text with line breaks: the step before a transcript is split and a turn is cleaned."""

from producer.cleaning.characters import unescape_entities
from producer.cleaning.email_text import extract_new_text, is_auto_reply, looks_like_email
from producer.cleaning.html_text import html_to_text, looks_like_html

__all__ = ["is_auto_reply", "looks_like_email", "prepare_text"]


def prepare_text(text: str, *, is_html: bool = False, is_email: bool = False) -> str:
    """Text as a reader sees it; of an e-mail, only what was newly written.

    Args:
        is_html: the export says so. Otherwise a text counts as HTML if it plainly is: `a < b` stays as it is.
        is_email: the text is a whole e-mail, as mail programs send it. Otherwise quotes and signatures stay.
    """
    if is_html:
        text = html_to_text(text)
    elif "<" in text or "&" in text:
        text = unescape_entities(text)
        if looks_like_html(text):
            text = html_to_text(text)
    return extract_new_text(text) if is_email else text
