"""Who speaks: the words and flags by which exports tell customer and company apart. Knows no file."""

from aftercall.conversation import Speaker
from producer.readers.raw import Kind
from producer.readers.rows import RowError

_USER_WORDS = (
    "user customer client caller consumer guest passenger visitor contact buyer subscriber member shopper human "
    "end-user enduser requester inbound cliente kunde kundin klant"
)
_AGENT_WORDS = (
    "agent support rep representative assistant advisor adviser operator bot chatbot system company brand staff "
    "associate csr service helpdesk admin employee specialist supervisor manager outbound agente berater conseiller"
)
_AGENT_PHRASES = ("customer service", "customer support", "customer care", "support agent", "service agent")

SPEAKERS: dict[str, Speaker] = {
    **dict.fromkeys(_USER_WORDS.split(), "user"),
    **dict.fromkeys(_AGENT_WORDS.split(), "agent"),
    **dict.fromkeys(_AGENT_PHRASES, "agent"),
}

_FLAGS: dict[str, Speaker] = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "inbound", "incoming", "in"), "user"),
    **dict.fromkeys(("false", "f", "no", "n", "0", "outbound", "outgoing", "out"), "agent"),
}


def take_speaker(word: object) -> Speaker:
    """The speaker that a word such as `Customer` or `rep` means.

    Raises RowError on a word that is not known.
    """
    speaker = SPEAKERS.get(str(word).strip().casefold())
    if speaker is None:
        raise RowError(f"unknown speaker {str(word)[:40]!r}; expected a word like user, customer, agent or support.")
    return speaker


def take_inbound(flag: object) -> Speaker:
    """The speaker by a flag that is true for what the customer wrote.

    Raises RowError on anything but true or false.
    """
    speaker = _FLAGS.get(str(flag).strip().casefold())
    if speaker is None:
        raise RowError(f"the inbound flag is {str(flag)[:40]!r}; expected true or false.")
    return speaker


def find_role(word: str) -> Speaker | Kind | None:
    """Stand-in."""
    word = word.strip().casefold()
    if word in ("note", "internal note", "internal_note", "whisper", "comment_internal"):
        return "note"
    if word in ("system", "event", "activity", "action", "tool", "function"):
        return "event"
    return SPEAKERS.get(word.replace("_", "-")) or {"end-user": "user", "lead": "user", "assistant": "agent"}.get(word)
