"""What a line of a transcript may open a turn with: a time, a label, a separator. Looks at one line at a time.

Whether it does open one is decided over the whole transcript, by `labels`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from producer.readers.sides.speakers import Role, find_role, is_field_word, plain_label
from producer.readers.timing.times import parse_time

_INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_SPACE = rf"[\s{_INVISIBLE}]"
_MONTH = r"[^\W\d_]{3,12}\.?"
_DATE = (
    r"(?:\d{4}[-/.年년]\s?\d{1,2}[-/.月월]\s?\d{1,2}[日일.]?|\d{1,2}[-/.]\s?\d{1,2}[-/.]\s?\d{2,4}\.?"
    rf"|(?:{_MONTH},?\s)?(?:{_MONTH}[\s-]\d{{1,2}}(?:st|nd|rd|th)?,?[\s-]\d{{4}}"
    rf"|\d{{1,2}}\.?(?:\sde)?[\s-]{_MONTH}(?:\sde)?[\s-]\d{{4}}))"
)
_HALF = r"(?:[ap]\.?\s?m\b\.?|上午|下午|午前|午後|오전|오후|ص|م|Uhr\b)"
_ZONE = r"(?-i:Z|UTC|GMT|[A-Z]{2,4}T)?(?:\s?[+-]\d{2}:?\d{2})?(?!\w)"
_CLOCK = (
    rf"(?:{_HALF}\s?)?(?:\d{{1,3}}:\d{{2}}(?::\d{{2}})?(?:[.,]\d{{1,9}})?|\d{{1,2}}h\d{{2}})"
    rf"(?:\s?{_HALF})?(?:\s?{_ZONE})?"
)
_ELAPSED = (
    r"(?:\d{1,3}\s?h\s?)?(?:\d{1,4}\s?m(?:in)?\s?)?\d{1,5}(?:\.\d+)?\s?s(?:ec)?"
    r"|\d{1,3}\s?h\s?\d{1,2}\s?m|\d{1,4}\s?m(?:in)?"
)
#: A day without its year.
_DAY = (
    rf"(?:today|yesterday|heute|gestern|hier|hoy|ayer|oggi|ieri|vandaag)?,?\s(?:at|um|à|a\slas|alle|om)\s"
    rf"|(?:[^\W\d_]{{2,9}}\.?,?\s)?(?:{_MONTH}\s\d{{1,2}}|\d{{1,2}}\.?\s{_MONTH}),?\s(?:at\s|um\s|-\s)?"
)
_UNIX = r"1\d{9}(?:\d{3})?(?:\.\d+)?"
_TIME = (
    rf"(?:{_DATE}(?:(?:T|,?\s(?:at\s|um\s|-\s|à\s)?|\s?[-–|]\s?){_CLOCK})?"
    rf"|(?:{_DAY})?{_CLOCK}(?:,?\s{_DATE}|\s\d{{4}}(?!\d))?|{_ELAPSED}|{_UNIX})"
)

_STAMP = re.compile(
    rf"(?P<bracket>[\[(<{{【（]){_SPACE}?(?P<inner>{_TIME})(?:\s?(?:-->|[-–—]|to)\s?{_TIME})?{_SPACE}?[\])>}}】）]"
    rf"|(?P<bare>{_TIME})(?:\s?-->\s?{_TIME})?(?=[\s\]|–—,:;-]|$)",
    re.IGNORECASE,
)
_BLANK = re.compile(rf"{_SPACE}*")
_LEAD = re.compile(rf"{_SPACE}*(?:(?:[-*•·▪●►▶]|#?\d{{1,4}}[.)]|#\d{{1,4}}\b){_SPACE}+(?=\S))?")
_AFTER_STAMP = re.compile(rf"{_SPACE}*(?:[-–—|:,;·>]{_SPACE}*)?")
#: `[Agent] …`, `<Agent> …`, `【客服】…`, with or without a colon.
_BRACKETED = re.compile(
    r"[*_]{0,2}(?:\[([^\[\]]{1,60})\]|<([^<>]{1,60})>|【([^【】]{1,60})】|「([^「」]{1,60})」|\(([^()]{1,60})\))[*_]{0,2}\s?([:：]?)"
)
#: Between speaker, time and text, where they stand in columns.
_COLUMNS = ("|", "\t")
_COLON = re.compile(r"[*_]{0,2}([^:：]{1,80}?)[*_]{0,2}\s{0,2}([:：]{1,2})[*_]{0,2}")
_OTHER = re.compile(
    r"[*_]{0,2}([^|>»→\t]{1,60}?)[*_]{0,2}(\s[-–—―−=]{1,2}\s|\s?>{1,2}(?=\s|$)|\s?[»→›](?=\s|$)|\s?\|\s|\s?[=-]>(?=\s|$)|\t)"
)
_TIME_BEHIND = re.compile(
    rf"^(?P<label>.*?[^\s,(\[@–-]){_SPACE}*(?:[\[(（]{_SPACE}?(?P<inner>{_TIME}){_SPACE}?[\])）]|(?:,|\bat\b|@|\bum\b|[-–|])?\s+(?P<bare>{_TIME}))$",
    re.IGNORECASE,
)
_EVENT = re.compile(r"^(?:\*{2,3}\s?\S.*\*{2,3}|-{3,}.*-{3,}|={3,}.*={3,}|[-=_*~─—]{3,})$")
_BRACKETED_EVENT = re.compile(
    r"^(?:\[[^\[\]]{3,200}\]|\*[^*]{3,200}\*|_[^_]{3,200}_|\([^()]{3,200}\)|<[^<>]{3,200}>|[-=*~]{1,3}\s.{3,200})$"
)
_HAPPENED = re.compile(
    r"\b(?:joined|left|entered|assigned|reassigned|unassigned|transferred|routed|escalated|connected|disconnected|"
    r"accepted|ended|closed|reopened|resolved|started|created|timed out|changed|updated|merged|snoozed|tagged|"
    r"has been|was added|was removed|beigetreten|verlassen|beendet|geschlossen|zugewiesen|gestartet|a rejoint|a quitté|"
    r"assigné|terminé|fermé|se ha unido|se unió|abandonó|asignad[oa]|finalizad[oa]|cerrad[oa]|entrou|saiu|atribuíd[oa]|"
    r"encerrad[oa]|è entrat[oa]|è uscit[oa]|assegnat[oa]|chius[oa]|deelgenomen|verlaten|toegewezen|gesloten)\b",
    re.IGNORECASE,
)


#: Most lines have no sign of an opening in them, and needn't be looked at closely.
_MAY_OPEN = re.compile(r"[:：>|»→›\t\]】」)}=0-9]|[-–—―−]\s")
_MAX_BARE_CHARS = 60
_MAX_SCAN_CHARS = 200


#: `Maria says: …`, as older chat tools write it.
_SAYS = re.compile(
    r"(?P<label>.+?)\s(?:says|said|writes|wrote|asks|asked|replied|sagt|sagte|schreibt|schrieb|dit|a dit|écrit|a écrit|"
    r"dice|dijo|escribe|escribió|scrive|ha scritto|ha detto|zegt|schrijft|schreef|diz|disse|escreve|escreveu)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Opening:
    """How a line begins, if it begins like a turn."""

    label: str
    #: What two spellings of one label share.
    key: str
    role: Role | None
    #: The time as written, without its brackets; empty if there is none.
    stamp: str
    #: The dress of the line: where its time stands and what separates label and text.
    style: str
    text: str
    #: Whether the label could as well be the start of a sentence, such as `maria keller` or `my question`.
    is_weak: bool = False

    @property
    def is_timed(self) -> bool:
        return self.stamp != ""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A line that begins with a time and no label: something that happened."""

    stamp: str
    style: str
    text: str


def read_opening(line: str) -> Opening | Stamped | None:
    """What a line opens; None if it can only go on with what was said above."""
    if len(line) > _MAX_BARE_CHARS and not _MAY_OPEN.search(line, 0, _MAX_SCAN_CHARS):
        return None
    start = _BLANK.match(line).end()  # type: ignore[union-attr]
    match = _STAMP.match(line, start)
    if match is None:
        start = _LEAD.match(line).end()  # type: ignore[union-attr]
        match = _STAMP.match(line, start)
    stamp, style = "", ""
    if match:
        stamp = match["inner"] or match["bare"]
        style = f"{match['bracket'] or ''}{'date' if len(stamp) > 14 else 'time'}"
        start = _AFTER_STAMP.match(line, match.end()).end()  # type: ignore[union-attr]
    stamp = stamp.strip()
    opening = _read_label(line[start:], stamp, style)
    if opening is None and stamp:
        return Stamped(stamp, style, line[start:].strip())
    return opening


def _read_label(text: str, stamp: str, style: str) -> Opening | None:
    if match := _BRACKETED.match(text):
        label = match[1] or match[2] or match[3] or match[4] or match[5]
        opening = _make(label, stamp, f"{style}[]{match[6]}", text[match.end() :])
        return opening if opening and (opening.role or not match[5]) else None
    match = _COLON.match(text)
    if match and (opening := _with_colon(match, text, stamp, style)):
        return opening
    if match := _OTHER.match(text):
        separator, rest = match[2].strip(" "), text[match.end() :]
        if not stamp and separator in _COLUMNS and (time := _STAMP.match(rest)):
            behind = _AFTER_STAMP.match(rest, time.end()).end()  # type: ignore[union-attr]
            return _make(match[1], time["inner"] or time["bare"], f"behind{style}{separator}", rest[behind:])
        return _make(match[1], stamp, style + separator, rest)
    return _bare_label(text, stamp, style)


def _with_colon(match: re.Match[str], text: str, stamp: str, style: str) -> Opening | None:
    """A label before a colon. A colon inside a time or behind it may not be the label's own."""
    label, end = match[1], match.end()
    if label[-1:].isdigit() and text[end : end + 2].isdigit():  # `Customer 10:02: …`, `Agent (10:02): …`
        longer = re.compile(r"([^：]{1,100}?)\s{0,2}([:：])(?=\s|$)[*_]{0,2}").match(text)
        if not longer or not _TIME_BEHIND.match(longer[1]):
            return None
        label, end = longer[1], longer.end()
    rest = text[end:]
    if rest.startswith(("//", "\\")):
        return None
    opening = _make(label, stamp, f"{style}:", rest)
    is_apart = not rest or rest[0].isspace() or "：" in match[2] or ord(rest[0]) > 0x2E7F
    return opening if opening and (is_apart or opening.role) else None


def _bare_label(text: str, stamp: str, style: str) -> Opening | None:
    """A line of a label alone, perhaps with a time: the words stand in the lines below."""
    label = text.strip().strip("*_")
    if not is_phrase(label) or has_happened(label):
        return None
    opening = _make(label, stamp, f"{style}alone", "")
    return opening if opening and (opening.role or opening.stamp) else None


def _make(label: str, stamp: str, style: str, text: str) -> Opening | None:
    label = label.strip().strip("*_").strip()
    if label.startswith(_QUOTES):  # somebody quotes what a speaker said
        return None
    if not stamp and (match := _TIME_BEHIND.match(label)):
        label, stamp, style = match["label"], match["inner"] or match["bare"], f"behind{style}"
    if " " in label and (match := _SAYS.fullmatch(label)):
        label, style = match["label"], f"{style}says"
    known = _known(label)
    if known is None:
        return None
    label, key, role, is_weak = known
    return Opening(label, key, role, stamp, style, text, is_weak and not stamp)


@lru_cache(maxsize=4096)
def _known(label: str) -> tuple[str, str, Role | None, bool] | None:
    """A label, its plain form, its role and whether it is weak; None if no speaker is called so."""
    label = re.sub(f"[{_INVISIBLE}]", "", label).strip()
    if label[:1] in "[<【" or not set("[<【") & set(label):  # not the end of `Agent [private note]`
        label = label.strip("[]<>【】").strip()
    if not is_phrase(label):
        return None
    role = find_role(label)
    is_weak = role is None and not is_name_like(label)
    if is_weak and len(label.split()) > 3:
        return None
    return label, plain_label(label), role, is_weak


_QUOTES = tuple("\"'“”„‚‘’«»‹›>「『")
_SENTENCE_MARKS = re.compile(
    r"[!?;…\"“”„«»=\\/{}。、！？]|(?<!\b\w)(?<!\b[A-Z][a-z])(?<!\b[A-Z][a-z]\w)[.,](?=\s*$)|\.\s+[a-z]|,\s+[a-z]"
)
_PARTICLES_WORDS = (
    "van von de der den del della di da dos du la le el al bin ben bint ibn of the and y e zu ter from at via bei chez"
)
_PARTICLES = frozenset(_PARTICLES_WORDS.split())


def is_name_like(label: str) -> bool:
    """Whether somebody could be called so: a name, a nickname, an address, a number; not the start of a sentence."""
    words = _without_remark(label).split()
    return is_phrase(label) and (len(words) == 1 or all(map(_is_name_word, words)))


def is_phrase(label: str) -> bool:
    """Whether this is one to five words and no more than words."""
    bare = _without_remark(label)
    words = bare.split()
    if not words or len(bare) > 50 or len(words) > 5 or _SENTENCE_MARKS.search(bare):
        return False
    return len(words) > 1 or bare.casefold() not in _NO_NAMES


def _without_remark(label: str) -> str:
    return re.sub(r"[(\[（][^()\[\]（）]*[)\]）]\s*$", "", label).strip()


def _is_name_word(word: str) -> bool:
    first = next((char for char in word if char.isalnum()), "")
    return not first or not first.islower() or word.casefold() in _PARTICLES


_NO_NAMES_WORDS = "http https mailto ftp tel www also but and or so then that this it i ich und aber"
_NO_NAMES = frozenset(_NO_NAMES_WORDS.split())


def is_event(text: str) -> bool:
    """Whether a line without a label says what happened, such as `*** Anna joined the chat ***`."""
    return bool(_EVENT.match(text)) or bool(_BRACKETED_EVENT.match(text) and has_happened(text))


def has_happened(text: str) -> bool:
    """Whether a short line reports a change, such as `Conversation was assigned to Tier 2`."""
    return len(text) <= 200 and bool(_HAPPENED.search(text))


def is_form_value(text: str) -> bool:
    """Whether this is what a form has behind its field: a few words or a number, no sentence."""
    text = text.strip()
    return len(text.split()) <= 4 and len(text) <= 60 and not text.endswith((".", "!", "?", "。", "！", "？", "…"))


def is_data(text: str) -> bool:
    """Whether this is a value with numbers in it, or none at all: `Fritzbox 7590`."""
    return is_form_value(text) and (not text.strip() or any(map(str.isdigit, text)))


def is_form_line(opening: Opening) -> bool:
    """Whether a line looks like a field of a form and its value."""
    return is_field_word(opening.label) or is_form_value(opening.text)


@lru_cache(maxsize=4096)
def stamp_time(stamp: str) -> float | None:
    """The time of a line. Within one transcript it doesn't matter which of two readings a date has."""
    time = parse_time(stamp)
    return time if time is not None else parse_time(stamp, day_first=False)
