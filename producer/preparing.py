"""What a conversation goes through before a model sees it: cleaned, then redacted. One function for all who need it."""

from aftercall.conversation import Conversation
from aftercall.redaction import Mode, add_version, redact_turns
from producer.clean import CLEANER_VERSION, clean_conversation


def prepare_conversation(conversation: Conversation, redact: Mode) -> Conversation:
    """The conversation as it is sent, stored and trained on; the caller's id stays as it is."""
    cleaned = clean_conversation(conversation)
    return Conversation(cleaned.external_id, redact_turns(cleaned.turns, redact))


def prepared_version(redact: Mode) -> str:
    """The version of all that `prepare_conversation` does, such as `2+r1s`."""
    return add_version(CLEANER_VERSION, redact)
