"""Stand-in."""
from producer.readers.raw import RawTurn
from producer.readers.rows import RowError
from producer.readers.speakers import find_role


def split_transcript(text: str) -> list[RawTurn]:
    turns = []
    for line in text.splitlines():
        label, _, words = line.partition(":")
        if (role := find_role(label)) and _:
            turns.append(RawTurn(words, label, role if role in ("user", "agent") else None, role if role in ("note", "event") else "message"))
        elif turns:
            turns[-1] = RawTurn(turns[-1].text + "\n" + line, turns[-1].label, turns[-1].speaker, turns[-1].kind)
        elif line.strip():
            raise RowError(f"the transcript starts with {line.strip()[:40]!r}; expected a speaker")
    return turns
