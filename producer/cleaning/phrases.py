"""The phrases of `email.toml`, compiled once. What they mean for a message is decided in `email_text`."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain

#: Languages whose attribution lines are taken from mail-parser-reply's own table.
_LIBRARY_LANGUAGES = ("cs", "da", "ja", "ko", "pl", "sv", "zh")


@dataclass(frozen=True, slots=True)
class Phrases:
    """Regular expressions for one line each, and words and phrases in lower case."""

    #: `On … wrote:`, in lines that may be wrapped, and those that begin with a name and must not be.
    attribution: re.Pattern[str]
    attribution_by_name: re.Pattern[str]
    from_words: frozenset[str]
    subject_words: frozenset[str]
    header_words: frozenset[str]
    history: re.Pattern[str]
    forward: re.Pattern[str]
    reply_above: tuple[str, ...]
    sent_from: re.Pattern[str]
    sign_offs: frozenset[str]
    #: The first words of them: most lines begin with none.
    sign_off_starts: frozenset[str]
    thanks: frozenset[str]
    about_mail: tuple[str, ...]
    disclaimers: tuple[str, ...]
    disclaimers_anywhere: tuple[str, ...]
    auto_reply: re.Pattern[str]
    #: Those of them that begin a subject.
    auto_subject: re.Pattern[str]


@cache
def load_phrases() -> Phrases:
    """Read at the first e-mail; a source without any never pays for it."""
    data = tomllib.loads(files("producer.cleaning").joinpath("email.toml").read_text("utf-8"))
    attributions = list(chain.from_iterable(data["attribution"].values()))
    header = data["header"]
    auto_reply = data["auto_reply"]
    return Phrases(
        attribution=_any([p for p in attributions if not p.startswith(".+")] + _library_attributions()),
        attribution_by_name=_any(p for p in attributions if p.startswith(".+")),
        from_words=frozenset(header["from"]),
        subject_words=frozenset(header["subject"]),
        header_words=frozenset(header["from"] + header["subject"] + header["other"]),
        history=_divider(data["divider"]["history"], data["divider"]["told"]),
        forward=_divider(data["divider"]["forward"], []),
        reply_above=tuple(data["reply_above"]["phrases"]),
        sent_from=_any(re.escape(line).replace(r"\*", r"\S+(?: \S+){0,4}") for line in data["sent_from"]["lines"]),
        sign_offs=frozenset(data["sign_off"]["phrases"]),
        sign_off_starts=frozenset(phrase.split(" ")[0] for phrase in data["sign_off"]["phrases"]),
        thanks=frozenset(data["sign_off"]["thanks"]),
        about_mail=tuple(data["disclaimer"]["about"]),
        disclaimers=tuple(data["disclaimer"]["phrases"]),
        disclaimers_anywhere=tuple(data["disclaimer"]["anywhere"]),
        auto_subject=_any(rf"\s*(?:subject: )?{re.escape(p)}" for p in auto_reply["phrases"] if p.endswith(":")),
        auto_reply=_auto_reply(auto_reply["phrases"], auto_reply["automated"], auto_reply["sent"]),
    )


def _library_attributions() -> list[str]:
    from mailparser_reply.constants import MAIL_LANGUAGES

    return [f"(?:{MAIL_LANGUAGES[language]['wrote_header']})" for language in _LIBRARY_LANGUAGES]


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def _divider(phrases: list[str], told: list[str]) -> re.Pattern[str]:
    """`-----Original Message-----`, the phrase and a colon, or `---- On … wrote ----`."""
    words = "|".join(map(re.escape, phrases))
    ways = [rf"[-_=*]{{2,}} ?(?:{words}) ?[-_=*]{{2,}}", rf"(?:{words}) ?:"]
    if told:
        ways.append(rf"-{{2,}} ?.*[\d@].* (?:{'|'.join(map(re.escape, told))}):? ?-{{2,}}")
    return _any(ways)


def _auto_reply(phrases: list[str], automated: list[str], sent: list[str]) -> re.Pattern[str]:
    """One of the phrases at the start of a sentence."""
    whole = "|".join(map(re.escape, phrases))
    begun, ended = "|".join(map(re.escape, automated)), "|".join(map(re.escape, sent))
    return re.compile(rf"(?:^|[\n.!?:*\-] ?)\W{{0,4}}(?:{whole}|(?:{begun})[^.!?\n]{{0,40}}(?:{ended}))", re.IGNORECASE)
