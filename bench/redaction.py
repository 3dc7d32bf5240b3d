"""Precision and recall of redaction by kind, and conversations a second without it, in standard and in strict mode.

    python -m bench.redaction
    python -m bench.redaction --speed ../shared/data/tweetsumm/train.jsonl --rounds 5
    python -m bench.redaction --misses

The marked texts are those of tests/data/redaction: `standard.txt` and `strict.txt` with spans, `negatives.txt` with
nothing to redact. A span counts as found if start, end and kind are the marked ones. "leaked" are marked values of
which six characters in a row, or all if it is shorter, stay in the text, whatever kind was found.

Speed is measured for cleaning and the job's key alone, and for reading a CSV file, cleaning and keys together: on
TweetSumm's conversations, and on "plain" ones, in which the first look finds nothing. Time is that of the process on
its CPU, so that other programs disturb little; the best round counts.
"""

import argparse
import csv
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from aftercall.conversation import Conversation
from aftercall.ledger.intake import make_job_key
from aftercall.redaction import Mode, add_version
from aftercall.redaction.redactor import Redactor, needs_redaction
from producer.batches import prepare
from producer.clean import CLEANER_VERSION
from producer.preparing import prepare_conversation
from producer.source import SourceOptions, open_source

TEXTS = Path(__file__).parents[1] / "tests" / "data" / "redaction"
MODES: tuple[Mode, ...] = ("off", "standard", "strict")
_MARK = re.compile(r"\{\{([A-Z]+)\|(.*?)\}\}")


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and the spans in it, each as (start, end, kind)."""

    text: str
    spans: frozenset[tuple[int, int, str]]


@dataclass(slots=True)
class Counts:
    """What became of the spans of one kind."""

    num_marked: int = 0
    num_found: int = 0
    num_right: int = 0
    num_leaked: int = 0


def read_marked(path: Path) -> list[Marked]:
    """The texts of a file, a line each; lines that begin with # are headings."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_parse(line) for line in lines if line and not line.startswith("# ")]


def _parse(line: str) -> Marked:
    text, spans, end = "", set(), 0
    for match in _MARK.finditer(line):
        text += line[end : match.start()]
        spans.add((len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        end = match.end()
    return Marked(text + line[end:], frozenset(spans))


def judge(texts: Sequence[Marked], mode: Mode, misses: list[str] | None = None) -> dict[str, Counts]:
    """Counts by kind; what is missed or wrong is described in `misses`."""
    counts: dict[str, Counts] = {}
    for each in texts:
        found = {(span.start, span.end, str(span.kind)) for span in Redactor(mode).find(each.text)}
        left = Redactor(mode).redact(each.text)
        for start, end, kind in each.spans:
            mine = counts.setdefault(kind, Counts())
            mine.num_marked += 1
            size = min(6, end - start)
            mine.num_leaked += any(each.text[place : place + size] in left for place in range(start, end - size + 1))
        for span in found:
            mine = counts.setdefault(span[2], Counts())
            mine.num_found += 1
            mine.num_right += span in each.spans
        if misses is not None and found != each.spans:
            shown = [f"{kind} {each.text[start:end]!r}" for start, end, kind in sorted(found)]
            misses.append(f"{each.text}\n    marked {len(each.spans)}, found {', '.join(shown) or 'nothing'}")
    return counts


def show_quality(with_misses: bool) -> None:
    """Precision and recall of both modes."""
    standard, strict = read_marked(TEXTS / "standard.txt"), read_marked(TEXTS / "strict.txt")
    negatives = read_marked(TEXTS / "negatives.txt")
    for mode, texts in (("standard", standard), ("strict", strict)):
        misses: list[str] = []
        counts = judge([*texts, *negatives] if mode == "standard" else texts, mode, misses)
        print(f"\n{mode}: {len(texts)} texts with spans")
        print("kind        marked  found  right  leaked  precision  recall")
        for kind, c in [*sorted(counts.items()), ("all", _add_up(list(counts.values())))]:
            precision, recall = c.num_right / max(1, c.num_found), c.num_right / max(1, c.num_marked)
            print(f"{kind:10} {c.num_marked:7} {c.num_found:6} {c.num_right:6} {c.num_leaked:7} "
                  f"{precision:10.3f} {recall:7.3f}")  # fmt: skip
        if with_misses:
            print("\n".join(misses))
    for mode in ("standard", "strict"):
        num_wrong = sum(Redactor(mode).redact(each.text) != each.text for each in negatives)
        print(f"\nhard negatives changed in {mode} mode: {num_wrong} of {len(negatives)}")


def _add_up(counts: Sequence[Counts]) -> Counts:
    fields = ("num_marked", "num_found", "num_right", "num_leaked")
    return Counts(*(sum(getattr(each, field) for each in counts) for field in fields))


def measure(work: dict[Mode, Callable[[], object]], num_rounds: int, num_conversations: int) -> dict[Mode, float]:
    """Conversations a second of each mode, the best of rounds in which the modes take turns."""
    seconds = dict.fromkeys(work, float("inf"))
    for _ in range(num_rounds):
        for mode, run in work.items():
            started = process_time()
            run()
            seconds[mode] = min(seconds[mode], process_time() - started)
    return {mode: num_conversations / best for mode, best in seconds.items()}


def show_speed(path: Path, num_rounds: int) -> None:
    """Conversations a second, the modes next to each other."""
    from training.data.example import example_from_dialogstudio

    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    raw = [example_from_dialogstudio(row).conversation for row in rows]
    plain = [each for each in raw if not needs_redaction(each.text, "standard")]
    print(f"\nconversations/s           {''.join(f'{mode:>10}' for mode in MODES)}   standard costs")
    _show_rates(f"TweetSumm ({len(raw)})", measure(_cleaning(raw), num_rounds, len(raw)))
    _show_rates(f"plain ({len(plain)})", measure(_cleaning(plain), num_rounds, len(plain)))
    for what, conversations in (("TweetSumm from CSV", raw), ("plain from CSV", plain)):
        _show_rates(what, _measure_csv(conversations, num_rounds))


def _measure_csv(conversations: Sequence[Conversation], num_rounds: int) -> dict[Mode, float]:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "conversations.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "conversation"])
            writer.writerows([number, each.text] for number, each in enumerate(conversations))
        work: dict[Mode, Callable[[], object]] = {mode: lambda mode=mode: _read(table, mode) for mode in MODES}
        return measure(work, num_rounds, len(conversations))


def _show_rates(what: str, rates: dict[Mode, float]) -> None:
    costs = rates["off"] / rates["standard"] - 1
    print(f"{what:26}{''.join(f'{rates[mode]:10,.0f}' for mode in MODES)}   {costs:+.1%}")


def _cleaning(conversations: Sequence[Conversation]) -> dict[Mode, Callable[[], object]]:
    def run(mode: Mode) -> None:
        for each in conversations:
            make_job_key(prepare_conversation(each, mode).text, add_version(CLEANER_VERSION, mode))

    return {mode: lambda mode=mode: run(mode) for mode in MODES}


def _read(path: Path, mode: Mode) -> int:
    with open_source(str(path), SourceOptions(redact=mode)) as source:
        return sum(map(len, prepare(source)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", type=Path, help="a DialogStudio file, to measure conversations a second on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--misses", action="store_true", help="show each text that is not redacted as marked")
    options = parser.parse_args()
    show_quality(options.misses)
    if options.speed:
        show_speed(options.speed, options.rounds)


if __name__ == "__main__":
    main()
