"""What a reviewer's correction must be, so that an adapter can be trained on it. Pure functions."""

#: A correction outside of these limits is a remark or a paste by mistake, not a summary.
MIN_WORDS = 3
MAX_CHARS = 1_500


def find_problem(correction: str, conversation: str) -> str | None:
    """Why a correction of a conversation's summary cannot be trained on; None if it can."""
    shown = correction if len(correction) <= 40 else f"{correction[:40]}…"
    if len(correction.split()) < MIN_WORDS:
        return f"the correction {shown!r} has fewer than {MIN_WORDS} words; write a whole summary"
    if len(correction) > MAX_CHARS:
        return f"the correction has {len(correction):,} characters; a summary has at most {MAX_CHARS:,}"
    spoken = squeeze(" ".join(line.partition(": ")[2] for line in conversation.splitlines()))
    if correction in (squeeze(conversation), spoken) or any(
        squeeze(line) == correction or squeeze(line.partition(": ")[2]) == correction
        for line in conversation.splitlines()
    ):
        return f"the correction {shown!r} is copied from the conversation; write a summary"
    return None


def squeeze(text: str) -> str:
    """The words, each apart by one space."""
    return " ".join(text.split())


def edit_share(summary: str, correction: str) -> float:
    """Words to insert, delete or replace, as a share of the longer one's words: 0 (the same) to 1."""
    ours, theirs = summary.split(), correction.split()
    previous = list(range(len(theirs) + 1))
    for number, word in enumerate(ours, 1):
        row = [number]
        for place, other in enumerate(theirs, 1):
            row.append(min(previous[place] + 1, row[-1] + 1, previous[place - 1] + (word != other)))
        previous = row
    return previous[-1] / max(len(ours), len(theirs), 1)
