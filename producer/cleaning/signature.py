"""What stands around the words of an e-mail: signatures, "Sent from my …", disclaimers. Knows no quotes."""

import re
from collections.abc import Sequence

from producer.cleaning.phrases import Phrases, load_phrases

_DELIMITER = re.compile(r"--|—|-- ?-")
_MAX_SIGNATURE = 12
_MAX_LINE = 100
#: A telephone number, an address, a link, a company: what a line of contact has.
_CONTACT = re.compile(
    r"\b(?:tel|telefon|teléfono|téléphone|telefono|telefone|phone|fax|mob|mobile|mobil|móvil|cell|gsm|e-?mail)\b\.?:?\s*[+(\d\w]"
    r"|(?:^|[\s:])(?:\+|00|\(?0)\d[\d ()/.-]{5,}|\bwww\.|https?://|\S@\S+\.\S| \| "
    r"|\b(?:GmbH|AG|KG|Inc|Ltd|LLC|Corp|plc|SARL|SAS|S\.A|S\.L|S\.r\.l|Srl|SpA|B\.V|BV|N\.V|Lda|Ltda)\b",
    re.IGNORECASE,
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
        if line and phrases.thanks.fullmatch(line.rstrip(" ,.!")):
            index = _skip_lone_name(lines, index)
    return kept


def _skip(lines: Sequence[str], index: int, phrases: Phrases) -> int:
    """The line after what goes, or the same line."""
    line = lines[index]
    if _DELIMITER.fullmatch(line):
        rest = [text for text in lines[index + 1 :] if text]
        return len(lines) if len(rest) <= _MAX_SIGNATURE else index + 1
    if len(line) <= _MAX_LINE:
        if phrases.sent_from.fullmatch(line.rstrip(" .!")):
            return index + 1
        if _is_sign_off(line, phrases):
            return _skip_contact(lines, index + 1)
    is_start = index == 0 or not lines[index - 1]
    return _skip_disclaimer(lines, index, phrases) if is_start else index


def _is_sign_off(line: str, phrases: Phrases) -> bool:
    """`Best regards`, alone or with a name behind it."""
    match = phrases.sign_off.match(line)
    if not match:
        return False
    rest = line[match.end() :]
    name = rest.strip(" ,.!/–-")
    if not name:
        return True
    is_apart = rest.lstrip(" ")[0] in ",.!/–-" or (rest[0] == " " and len(match[0]) > 5)
    return is_apart and (_is_name(name) or phrases.sign_off.fullmatch(name) is not None)


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
        if num_lines == _MAX_SIGNATURE or not (is_contact or is_name):
            break
        end, num_lines, follows_blank = number + 1, num_lines + 1, False
    return end


def _skip_lone_name(lines: Sequence[str], index: int) -> int:
    """The line after a name that is all that follows, or that lines of contact follow."""
    number = index
    while number < len(lines) and not lines[number]:
        number += 1
    if number == len(lines) or not _is_name(lines[number]):
        return index
    end = _skip_contact(lines, number)
    return end if not any(lines[end:]) or end > number + 1 else index


def _skip_disclaimer(lines: Sequence[str], index: int, phrases: Phrases) -> int:
    """The line after a paragraph that is a disclaimer."""
    end = index
    while end < len(lines) and lines[end]:
        end += 1
    paragraph = " ".join(lines[index:end])
    is_disclaimer = phrases.disclaimer_anywhere.search(paragraph) is not None or (
        phrases.disclaimer.search(paragraph) is not None and phrases.about_mail.search(paragraph) is not None
    )
    return end if is_disclaimer else index


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


def _is_sentence(line: str) -> bool:
    return len(line.split()) >= 4 and line.endswith((".", "?", "!"))
