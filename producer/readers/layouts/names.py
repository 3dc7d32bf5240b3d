"""What columns and keys are called: the names by which a field is known, the surest first. Knows no record."""

import re
from functools import cache

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[\W_]+")


@cache
def snake(name: str) -> str:
    """`Conversation ID`, `conversation_id` and `conversationId` are one name."""
    return _OTHER.sub("_", _CAMEL.sub("_", name)).strip("_").casefold()


def plain(name: str) -> str:
    """The same without its underscores, for names that run together: `caseNumber`, `CASENUMBER`."""
    return snake(name).replace("_", "")


def _words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


#: A conversation's id. `id` comes last: beside another it is mostly the message's.
IDS = _words(
    "conversation_id conversations_thread_id conversation_sid convo_id conv_id dialogue_id dialog_id new_dialog_id "
    "original_dialog_id ticket_id ticket_number ticket case_id case_number case chat_id session_id thread_id "
    "thread_ts interaction_id contact_id call_id issue_id channel_id room_id display_id uuid id"
)

TRANSCRIPTS = _words(
    "transcript chat_transcript conversation dialogue dialog chat chat_log log turns messages utterances entries "
    "conversations conversation_items events comments text body content"
)

#: Lists of turns in a JSON record.
TURN_LISTS = _words(
    "turns messages utterances log transcript entries dialogue dialog conversation conversations conversation_items "
    "comments events replies notes posts parts items chat history"
)

#: Who speaks, as a role.
SPEAKERS = _words(
    "speaker role speaker_role author_type author_role sender_type sender_role participant_role actor_type user_type "
    "from_type sent_by sent_by_type author sender participant from who actor"
)

#: Who speaks, by name, where no role is known.
AUTHORS = _words(
    "name author_name sender_name user_name username user agent_name display_name from_name author_id sender_id "
    "user_id participant_id actor_id from_id from_address author_email sender_email"
)

#: A flag or word that is true for what came from the customer.
INBOUND = _words(
    "inbound is_inbound incoming is_incoming is_customer from_customer is_from_customer by_customer is_user from_user "
    "is_visitor from_visitor is_client from_client direction message_direction"
)

#: A flag that is true for what the company wrote.
OUTBOUND = _words(
    "from_agent is_agent is_from_agent by_agent sent_by_agent outbound is_outbound outgoing is_outgoing is_staff "
    "from_staff is_operator from_operator is_admin from_me is_from_me is_mine"
)

TEXTS = _words(
    "text message body content utterance message_text body_text plain_body text_body plain_text value msg turn "
    "sentences html_body body_html comment comment_body comment_text"
)

TIMES = _words(
    "time timestamp created_at sent_at datetime date created date_created created_datetime created_time create_time "
    "message_date sent_date date_sent entry_time "
    "start_timestamp_usec absolute_time ts date_time sent_on created_on sent received_at"
)

#: Flags of what is not for the customer's eyes, and of what is.
PRIVATE = _words(
    "private is_private internal is_internal is_note internal_note is_internal_note is_internal_comment internal_only "
    "private_note is_private_note agent_only is_whisper"
)
PUBLIC = _words(
    "public is_public is_published visible_to_customer is_visible_to_customer customer_visible is_customer_visible "
    "jsd_public"
)

#: What kind of entry it is.
KINDS = _words("type kind message_type part_type event_type entry_type comment_type visibility channel")

#: A day that stands apart from its time of day, and what numbers turns within a conversation.
DAYS = _words("date day created_date message_date sent_date datum fecha data")
PLACES = _words(
    "seq sequence sequence_number seq_no turn_index turn_id turn_number turn_no turn message_index message_number "
    "message_no msg_index utterance_index utterance_id utterance_number line_number line_no position step"
)

#: Question and answer in two columns: the customer's, the company's.
QUESTIONS = _words(
    "description question query customer_message customer_query user_message issue problem complaint inquiry request "
    "ticket_description body instruction input prompt"
)
ANSWERS = _words(
    "resolution answer response reply agent_response agent_reply agent_message support_response solution output "
    "completion assistant"
)
#: The same, where a conversation's id or people may be called so as well: what stands there must be sentences.
VAGUE_QUESTIONS = _words("customer user client human customer_text user_text frage pregunta pergunta domanda vraag")
VAGUE_ANSWERS = _words("agent assistant support bot gpt agent_text antwort respuesta resposta risposta antwoord")
