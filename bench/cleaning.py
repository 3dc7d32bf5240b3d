"""Texts a second through cleaning: plain, HTML and e-mail next to each other, in one process.

    python -m bench.cleaning ../shared/data/tweetsumm/train.jsonl
    python -m bench.cleaning ../shared/data/tweetsumm/train.jsonl --against ../other-checkout

The texts are those of a DialogStudio file. "raw" are tweets as published, "plain" the same without handles and links,
as chats have them; "HTML" and "e-mail" are the plain ones as help desks send them, each mail quoting the one before.
With `--against`, the `producer/clean.py` of another checkout takes turns with this one. The best of the rounds counts.
"""

import argparse
import html
import json
from collections.abc import Callable, Iterable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from producer.clean import clean_text
from producer.cleaning.prepare import prepare_text

Clean = Callable[[str], object]


def read_texts(path: Path) -> list[str]:
    """Each utterance of a DialogStudio file."""
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    entries: Iterable[Any] = chain.from_iterable(row["log"] for row in rows)
    return [text for entry in entries for text in (entry["user utterance"], entry["system response"]) if text]


def as_html(text: str) -> str:
    """The text as the rich editors of help desks write it."""
    sentences = html.escape(text).split(". ")
    body = "".join(f"<p>{sentence}.</p>" for sentence in sentences)
    return f'<div class="comment" dir="auto">Hello,<br>{body}<a href="https://acme.example/">Help&nbsp;centre</a></div>'


def as_email(text: str, before: str) -> str:
    """The text as a mail program sends it, the one before it quoted."""
    quoted = "\n".join(f"> {line}" for line in before.split(". "))
    return (
        f"Hello,\n\n{text}\n\nBest regards,\nJonas Brandt\n\nSent from my iPhone\n\n"
        f"On Thu, Nov 20, 2025 at 11:02 AM Maria Keller <x@example.com> wrote:\n{quoted}\n"
    )


def load_clean(checkout: Path) -> Clean:
    """`clean_text` of another checkout whose `producer/clean.py` stands alone."""
    spec = spec_from_file_location("other_clean", checkout / "producer" / "clean.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    clean: Clean = module.clean_text
    return clean


def measure(texts: Sequence[str], cleaners: Sequence[Clean], num_rounds: int) -> list[float]:
    """Texts a second for each cleaner, which take turns."""
    best = [0.0] * len(cleaners)
    for _ in range(num_rounds):
        for index, clean in enumerate(cleaners):
            start = perf_counter()
            for text in texts:
                clean(text)
            best[index] = max(best[index], len(texts) / (perf_counter() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--against", type=Path, help="another checkout, whose cleaning takes turns with this one")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    raw = read_texts(options.data)
    plain = [clean_text(text) for text in raw]
    mails = [as_email(text, before) for text, before in zip(plain, ["", *plain], strict=False)]
    kinds: dict[str, tuple[list[str], Clean]] = {
        "raw": (raw, clean_text),
        "plain": (plain, clean_text),
        "HTML": ([as_html(text) for text in plain], lambda text: clean_text(prepare_text(text))),
        "e-mail": (mails, lambda text: clean_text(prepare_text(text, is_email=True))),
    }
    print(f"{len(raw):,} texts, {sum(map(len, raw)) / len(raw):.0f} characters each")
    for name, (texts, clean) in kinds.items():
        other = [load_clean(options.against)] if options.against and clean is clean_text else []
        rates = measure(texts, [clean, *other], options.rounds)
        print(f"{name:8}" + "".join(f"{rate:12,.0f} texts/s" for rate in rates))


if __name__ == "__main__":
    main()
