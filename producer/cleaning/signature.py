"""What stands around the words of an e-mail: signatures, "Sent from my …", disclaimers. Knows no quotes."""

import re
from collections.abc import Sequence
from itertools import islice

from producer.cleaning.history import next_text
from producer.cleaning.phrases import Phrases, load_phrases

_DELIMITER = re.compile(r"--|—|-- ?-")
_MAX_SIGNATURE = 12
_MAX_LINE = 100
#: In a closing phrase, `com os melhores cumprimentos` and longer.
_MAX_WORDS = 6
#: A telephone number, an address, a link, a company: what a line of contact has.
_CONTACT = re.compile(
    r"\b(?:tel|telefon|teléfono|téléphone|telefono|telefone|phone|fax|mob|mobile|mobil|móvil|cell|gsm|e-?mail)\b\.?:?\s*[+(\d\w]"
    r"|(?:^|[\s:])(?:\+|00|\(?0)\d[\d ()/.-]{5,}|\bwww\.|https?://|\S@\S+\.\S| \| "
    r"|\b(?:GmbH|AG|KG|Inc|Ltd|LLC|Corp|plc|SARL|SAS|S\.A|S\.L|S\.r\.l|Srl|SpA|B\.V|BV|N\.V|Lda|Ltda)\b",
    re.IGNORECASE,
)
#: A street with its number, or a town with its code, directly below a name.
_ADDRESS = re.compile(
    r"[^\W\d].{2,40} \d{1,3} ?[a-zA-Z]?|\d{1,3}[a-zA-Z]? [^\W\d].{2,40}|(?:[A-Z]{1,2}-)?\d{4,5} [^\W\d].{1,30}"
)
_REFERENCE = re.compile(r"\[?\s*\bref:[!_][\w.!]{1,100}:ref\b\s*\]?|\{#[A-Z]+:[\w-]{1,60}#\}")


def drop_references(text: str) -> str:
    """Without the references by which ticket systems know their own mails."""
    return _REFERENCE.sub("", text) if "ref:" in text or "{#" in text else text


def drop_signature(lines: Sequence[str]) -> list[str]:
    """The lines without signatures, signing programs and disclaimers; what is written below a signature stays."""
    phrases = load_phrases()
    kept: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        after = _skip(lines, index, phrases) if line else index
        if after > index:
            index = after
            continue
        kept.append(line)
        index += 1
        if line and line.rstrip(" ,.!").lower() in phrases.thanks:
            index = _skip_lone_name(lines, index)
    return kept


def _skip(lines: Sequence[str], index: int, phrases: Phrases) -> int:
    """The line after what goes, or the same line."""
    line = lines[index]
    if _DELIMITER.fullmatch(line):
        below = islice((text for text in islice(lines, index + 1, None) if text), _MAX_SIGNATURE + 1)
        return len(lines) if len(list(below)) <= _MAX_SIGNATURE else index + 1
    if len(line) <= _MAX_LINE:
        if phrases.sent_from.fullmatch(line.rstrip(" .!")):
            return index + 1
        if _is_sign_off(line, phrases):
            return _skip_contact(lines, index + 1)
    is_start = index == 0 or not lines[index - 1]
    return _skip_disclaimer(lines, index, phrases) if is_start else index


def _is_sign_off(line: str, phrases: Phrases) -> bool:
    """`Best regards`, alone or with a name behind it."""
    words = line.split(" ")
    if words[0].rstrip(",.!").lower() not in phrases.sign_off_starts:
        return False
    for num_words in range(min(len(words), _MAX_WORDS), 0, -1):
        phrase = " ".join(words[:num_words])
        if phrase.rstrip(",.!").lower() not in phrases.sign_offs:
            continue
        name = " ".join(words[num_words:]).strip(" ,.!/–-")
        if not name:
            return True
        # "Best Buy Card" is no closing line: short ones need a comma before the name.
        is_apart = len(phrase) > 5 or phrase.endswith((",", ".", "!")) or words[num_words][0] in "/–-"
        place = name.removeprefix("aus ").removeprefix("from ")
        return is_apart and (_is_name(place) or name.lower() in phrases.sign_offs)
    return False


def _skip_contact(lines: Sequence[str], index: int) -> int:
    """The line after the name and the lines of contact that follow a closing line."""
    end = index
    num_lines = 0
    follows_blank = False
    for number in range(index, min(index + 2 * _MAX_SIGNATURE, len(lines))):
        line = lines[number]
        if not line:
            follows_blank = True
            continue
        is_contact = len(line) <= _MAX_LINE and not _is_sentence(line) and _CONTACT.search(line) is not None
        is_name = (num_lines == 0 and _is_short(line)) or (not follows_blank and _is_name(line))
        is_contact = is_contact or (num_lines > 0 and not follows_blank and _is_address(line))
        if num_lines == _MAX_SIGNATURE or not (is_contact or is_name):
            break
        end, num_lines, follows_blank = number + 1, num_lines + 1, False
    return end


def _skip_lone_name(lines: Sequence[str], index: int) -> int:
    """The line after a name that is all that follows, or that lines of contact follow."""
    number = next_text(lines, index)
    if number == len(lines) or not _is_name(lines[number]):
        return index
    end = _skip_contact(lines, number)
    return end if next_text(lines, end) == len(lines) or end > number + 1 else index


def _skip_disclaimer(lines: Sequence[str], index: int, phrases: Phrases) -> int:
    """The line after a paragraph that is a disclaimer."""
    end = index
    while end < len(lines) and lines[end]:
        end += 1
    paragraph = " ".join(lines[index:end]).lower()
    if _has(paragraph, phrases.disclaimers_anywhere):
        return end
    return end if _has(paragraph, phrases.disclaimers) and _has(paragraph, phrases.about_mail) else index


def _has(text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in text for phrase in phrases)


def _is_short(line: str) -> bool:
    return len(line) <= 40 and len(line.split()) <= 4 and not _is_sentence(line) and not any(map(str.isdigit, line))


def _is_name(line: str) -> bool:
    """Few words, each with a capital, without figures: a name, a post, a company."""
    words = [word for word in re.split(r"[\s|,/&-]+", line.strip(" .,")) if word]
    return (
        0 < len(words) <= 6
        and len(line) <= 60
        and not line.endswith(("?", "!", ":"))
        and all(word[0].isupper() or len(word) <= 3 or not word[0].isalpha() for word in words)
        and words[0][0].isupper()
        and not any(map(str.isdigit, line))
    )


def _is_address(line: str) -> bool:
    return ":" not in line and not _is_sentence(line) and _ADDRESS.fullmatch(line) is not None


def _is_sentence(line: str) -> bool:
    return len(line.split()) >= 4 and line.endswith((".", "?", "!"))
