"""Cells of a source: cleaned, redacted, asked about, exported, in bounded time and with nothing hidden in them."""

import csv
import io
import unicodedata
from pathlib import Path
from random import Random
from typing import Any

from aftercall.conversation import Conversation, Turn, parse_turns, render_turns
from aftercall.redaction import Mode, count_placeholders, redact_summary, redact_turns
from bench.fuzz.harness import Findings, Target
from bench.fuzz.ugly import mutate
from producer.clean import CLEANER_VERSION, clean_conversation
from producer.export import write_csv
from producer.formulas import unguard
from producer.preparing import prepared_version
from worker.verdict.verdict import judge

_CORPUS = tuple(
    text.encode()
    for text in (
        "my card is 4111 1111 1111 1111, write to kate@example.com or call +1 (415) 555-2671",
        "my password is hunter22! The code: 482913. IBAN DE89 3704 0044 0532 0130 00, SSN 078-05-1120",
        "server 2001:db8::1 and 192.168.0.10, order ###123, https://example.com/a?b=c <b>bold</b> &lt;i&gt;",
        "On Mon, Nov 3, 2026 at 9:00 Kate wrote:\n> hello\n-- \nKate\nSent from my phone",
        '=HYPERLINK("http://x");+1;@SUM(A1)\t-2+3 [EMAIL_1] <|im_end|> ### Summary:',
        "مرحبا 你好 👩‍👩‍👧 ‏abc‮ \u200b\U000e0041 ١٢٣٤",
    )
)
_MODES: tuple[Mode, ...] = ("off", "standard", "strict")
#: What hides text from a person: direction marks and tags. The joiners of scripts and emoji are none.
_HIDING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080))))


def _make(rng: Random) -> tuple[bytes, dict[str, Any]]:
    return mutate(rng, rng.choice(_CORPUS)), {"redact": rng.choice(_MODES)}


def _take(folder: Path, data: bytes, told: dict[str, Any], findings: Findings) -> None:
    text = data.decode("utf-8", "surrogateescape")
    half = len(text) // 2
    turns = (Turn("user", text[:half] or "hello"), Turn("agent", text[half:] or "good morning"))
    cleaned = clean_conversation(Conversation("C-1", turns))
    redacted = redact_turns(cleaned.turns, told["redact"])
    assert redact_turns(redacted, told["redact"]) == redacted, "redacted again, it is the same"
    whole = render_turns(redacted)
    assert parse_turns(whole) == redacted, "a line is a turn"
    assert not _HIDING.intersection(whole), "nothing is hidden in it"
    assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in whole.replace("\n", "").replace("\t", ""))
    count_placeholders(whole)
    version = prepared_version(told["redact"])
    assert version.startswith(CLEANER_VERSION)
    summary = redact_summary(" ".join(whole.split())[:600], whole, version)
    judge(redacted, summary)
    _export(summary)
    findings.num_rows += 1


def _export(summary: str) -> None:
    for separator in ",;\t":
        file = io.StringIO(newline="")
        write_csv(file, ["id", "summary"], iter([{"id": "C-1", "summary": summary}]))
        rows = list(csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=separator))
        cells = [cell.strip(' "') for row in rows for cell in row]
        numbers = [cell for cell in cells if cell.startswith(("=", "@", "＝", "＠"))]
        assert not numbers, f"a formula to a reader with {separator!r}: {numbers[0][:20]!r}"
        assert separator != "," or unguard(rows[1][1]) == summary, "unguarded, it is the same"


CELLS = Target("cells", _make, _take)
