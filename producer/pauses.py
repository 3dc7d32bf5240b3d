"""How long commands that watch the ledger pause between two looks at it.

A look counts a whole submission: 0.65 s of processor at 500,000 conversations.
"""

#: The pause is at least so many times as long as the look before it, so that watching takes a tenth of a core at most.
PAUSES_PER_LOOK = 10
MAX_PAUSE_S = 30.0


def pause_after(look_s: float, min_s: float) -> float:
    """Seconds to pause after a look that took `look_s` seconds."""
    return min(max(PAUSES_PER_LOOK * look_s, min_s), MAX_PAUSE_S)
