"""Ugly inputs: mutants of small sound ones, drawn from a seed."""

import gzip
import json
from collections.abc import Callable
from random import Random

_CSV = 'id,transcript\n1,"user: my order is late\nagent: let me look, please"\n2,user: déjà vu\n3,customer: a ""b"" c\n'
_TURNS = (
    "conversation_id,speaker,text,time\n7,user,hello there,2026-11-01T10:00:00Z\n8,agent,good morning,1700000000\n"
    "7,agent,how can I help,2026-11-01T10:01:00+02:00\n8,customer,my order,Tue Oct 31 22:10:47 +0000 2017\n"
)
_TWEETS = (
    "tweet_id,author_id,inbound,created_at,text,in_response_to_tweet_id\n1,ada,True,,@shop my order,\n"
    "2,shop,False,Tue Oct 31 22:10:47 +0000 2017,@ada we look ^JK,1\n3,ada,True,2026-11-01,thanks http://t.co/x,2.0\n"
    "4,bob,True,,me too,9\n5,shop,False,,@bob hi,4\n"
)
_LINES = "".join(
    json.dumps(item) + "\n"
    for item in (
        {"id": "1", "transcript": [{"role": "user", "content": "my order"}, {"role": "agent", "content": "late"}]},
        {"id": "2", "transcript": "user: hello\nagent: hi"},
        {"id": "3", "transcript": ["user: a", {"user utterance": "b", "system response": "c"}]},
        {"id": "4", "transcript": [{"inbound": True, "text": "half \ud83d an emoji"}]},
    )
)
_TURN_LINES = '{"ticket_id": "1", "inbound": true, "text": "a b"}\n{"ticket_id": "1", "inbound": 0, "text": "c"}\n'
_TWEET_LINES = '{"tweet_id": "1", "inbound": true, "text": "a", "reply_to": null}\n'

#: A sound source of every shape and format.
CORPUS = tuple(
    text.encode()
    for text in (
        *(_CSV, _CSV.replace(",", ";"), _TURNS, _TURNS.replace(",", "\t"), _TWEETS),
        *(_LINES, _TURN_LINES, _TWEET_LINES),
    )
)

#: What has meaning to one of the readers, or has had to programs like them.
_TOKENS = (
    *(b'"', b'""', b",", b";", b"\t", b"|", b"\\", b"'", b"{", b"}", b"[", b"]", b":", b" ", b"\xef\xbc\x9a"),
    *(b"\n", b"\r", b"\r\n", b"\x0b", b"\x1c", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8", b"\xc2\xa0", b"\0", b"\x1a"),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xff\xfe\0\0",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\x81",
    ),
    *(b"\xe2\x80\xae", b"\xf0\x9f\x99\x8f", b"\\ud800", b"\\u0000", b"&amp;", b"&#0;", b"&#x110000;", b"&amp;" * 20),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-0", b"1.0", b"9" * 400, b"9" * 5000, b"=1+1"),
    *(b"user:", b"agent: ", b"customer", b"[10:00] user:", b"(" * 70, b"user: " * 50, b"[" * 2000, b'{"a":' * 2000),
    *(b"True", b"inbound", b"id", b"transcript", b"speaker", b"tweet_id", b"0001-01-01T00:00:00+23:59", b"9999-12-31"),
    *(b"\x1f\x8b", b"PK\x03\x04"),
)
_ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp1252", "latin-1", "cp500", "utf-7")
_MAX_BYTES = 1 << 20

Mutation = Callable[[Random, bytes], bytes]


def make_ugly(rng: Random) -> bytes:
    """One source, some mutations away from a sound one."""
    return mutate(rng, rng.choice(CORPUS))


def mutate(rng: Random, data: bytes) -> bytes:
    """What is some mutations away from this."""
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        data = rng.choice(_MUTATIONS)(rng, data)[:_MAX_BYTES]
    return data


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 2, 5, 20, 200)))


def _flip(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + bytes(byte ^ 1 << rng.randrange(8) for byte in data[start:end]) + data[end:]


def _insert(rng: Random, data: bytes) -> bytes:
    start, _ = _span(rng, data)
    return data[:start] + rng.choice(_TOKENS) * rng.choice((1, 1, 1, 2, 30)) + data[start:]


def _replace(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.choice(_TOKENS) + data[end:]


def _delete(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[start:end] * rng.choice((2, 3, 50, 2000)) + data[end:]


def _truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _swap_lines(rng: Random, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _splice(rng: Random, data: bytes) -> bytes:
    other = rng.choice(CORPUS)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _swap_token(rng: Random, data: bytes) -> bytes:
    return data.replace(rng.choice(_TOKENS), rng.choice(_TOKENS))


def _transcode(rng: Random, data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode(rng.choice(_ENCODINGS), "replace")


def _compress(rng: Random, data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _insert, _insert, _insert, _replace, _replace, _delete, _repeat, _truncate, _swap_lines, _splice),
    *(_swap_token, _transcode, _compress),
)
