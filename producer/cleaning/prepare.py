"""Stand-in."""
def prepare_text(text, *, is_html=False, is_email=False): return text
def looks_like_email(text): return "\n>" in text
def is_auto_reply(text): return False
