"""E-mail and IP addresses."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from aftercall.redaction.kinds import Kind, Span

#: With or without the spaces and brackets by which people hide an address from machines.
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w+%'-]+(?:\.[\w+%'-]+)*\.?"
    r"(?:@|\s?[\[({](?:at|@|ät)[\])}]\s?)"
    r"[^\W_](?:[\w-]*[^\W_])?(?:(?:\.|\s?[\[({](?:dot|punkt|point|punto|\.)[\])}]\s?)[^\W_](?:[\w-]*[^\W_])?)+",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    r"(?<![\w.+%-])(?!(?:am|is|are|was|were|be|been|look|me|him|her|us|it|them|you|here|not|or|and)\s)"
    r"[\w+%-]+(?:(?:\.|\s(?:dot|punkt)\s)[\w+%-]+)*\s(?:at|arroba|arobase)\s[a-z][\w-]+\s?"
    r"(?:dot|punkt|punto|point)\s?(?:[a-z][\w-]+\s(?:dot|punkt|punto|point)\s)?(?!dot\b)[a-z]{2,10}\b",
    re.IGNORECASE,
)
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
#: What four numbers with points between them are as often.
_VERSION = re.compile(
    r"(?:version|firmware|software|build|release|update|driver|ios|android|os|app|chapter|section|v|ver\.?|kapitel|§)"
    r"[\s:]*$",
    re.IGNORECASE,
)


def find_emails(text: str) -> Iterator[Span]:
    """E-mail addresses, also those written as `name (at) example (dot) org` and `name at example dot org`."""
    for pattern in (_EMAIL, _SPOKEN):
        for match in pattern.finditer(text):
            key = re.sub(r"\W?\b(?:dot|punkt|punto|point)\b\W?", ".", match[0].casefold())
            key = re.sub(r"\W+(?:at|ät|arroba|arobase)\W+|[\[({]@[\])}]", "@", key)
            yield Span(match.start(), match.end(), Kind.EMAIL, key.replace(" ", ""))


def find_ips(text: str) -> Iterator[Span]:
    """IP addresses of both versions; four numbers after a word such as `version` are none."""
    for match in _IPV4.finditer(text):
        if _is(IPv4Address, match[0]) and not _VERSION.search(text, max(0, match.start() - 12), match.start()):
            yield Span(match.start(), match.end(), Kind.IP, match[0])
    for match in _IPV6.finditer(text):
        if _is(IPv6Address, match[0]) and any(map(str.isalnum, match[0])) and match[0].count(":") > 2:
            yield Span(match.start(), match.end(), Kind.IP, str(IPv6Address(match[0])))


def _is(kind: type[IPv4Address | IPv6Address], value: str) -> bool:
    try:
        kind(value)
    except ValueError:
        return False
    return True
