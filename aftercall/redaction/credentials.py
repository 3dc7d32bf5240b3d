"""Passwords, PINs, one-time codes, tokens and API keys: by the words before them, or by their own shape.

English, German, French and Spanish; a few words of Dutch, Italian, Portuguese and Polish.
"""

import re
from collections.abc import Iterator

from aftercall.redaction.kinds import Kind, Span
from aftercall.redaction.patterns import any_of, lower

_MEMORIZED = (
    r"pass ?(?:word|code|phrase)s?|passwd|pwd|pw|passwort|kennwort|zugangsdaten|mot de passe|mdp|contraseña|contrasena|"
    r"clave(?: de acceso| secreta)?|wachtwoord|hasło|parola d'ordine|credentials?|geheimwort"
)
_CODE = (
    r"pin|puk|otp|cvv2?|cvc2?|csc|tan|sms-?tan|pin-?code|geheimzahl|prüfziffer|kartenprüfnummer|"
    r"(?:one[- ]time|verification|security|authentication|auth|authori[sz]ation|login|log-in|sign-in|access|sms|2fa|"
    r"mfa|backup|recovery|unlock|secret|activation)[ -](?:pass)?code|one[- ]time[- ](?:pin|password)|"
    r"(?:einmal|sicherheits|bestätigungs|verifizierungs|zugangs|freischalt|aktivierungs|login|sms)-?(?:code|passwort|pin)|"
    r"code (?:de (?:vérification|sécurité|connexion|validation)|d'(?:accès|authentification|activation)|secret|"
    r"à usage unique|sms|pin)|cryptogramme|"
    r"c[oó]digo (?:de (?:verificación|verificacion|seguridad|acceso|autenticación|un solo uso)|sms|pin|secreto)|"
    r"codice (?:di (?:verifica|sicurezza))|verificatiecode|código de verificação|kod (?:weryfikacyjny|sms)"
)
_MACHINE_KEYS = (
    r"(?:api|access|secret|private|auth|bearer|refresh|session|license|encryption)[ _-]?(?:key|token|secret)s?|"
    r"apikey|token|api-?schlüssel|zugriffstoken|clé (?:api|secrète|d'api)|jeton|clave (?:api|secreta)|client[ _]secret|"
    r"bearer|secret"
)
_NAMES = any_of(f"{_MEMORIZED}|{_MACHINE_KEYS}")
_CODES = any_of(_CODE)
_ASKED_FOR = any_of(f"{_MEMORIZED}|{_CODE}")
#: What may stand between the word and its value: `is now`, `für das Konto lautet`, `for my account:`.
_LINK = (
    r"(?:\s?(?:\([^()]{0,20}\)))?"
    r"(?:\s(?:number|code|nummer|for (?:my|the|your|this) \w+|für (?:mein|das|den|die|meine) \w+|pour \w+ \w+|"
    r"para \w+ \w+|i (?:got|received|have|use|used|set)(?: is)?|you (?:sent|gave)(?: me)?|we sent|that i got|habe ich|"
    r"du|por sms|par sms|per sms|by sms|via sms|reçu)){0,2}"
)
_VERB = (
    r"\s?(?::|=|#|->|→)\s?|\s(?:is|was|ist|war|lautet|est|était|es|era|is now|is still|will be|to|auf|à|a|as|is:|ist:|"
    r"est:|es:|is set to|jest|é|è)(?:\s(?:now|still|just|jetzt|nun|maintenant|ahora|currently|the|set to|following|:))*"
    r"\s?:?\s"
)
_OPEN = r"[\"'“”„«‚‘`(]?"
_VALUE = r"(?:(?<=[\"“„«])(?P<quoted>[^\"“”»]{3,60})(?=[\"“”»])|(?P<value>[^\s\"“”„«»‘`<>]{3,128}))"
_NUMBER = r"(?P<value>(?:[A-Z]{1,2}-)?[0-9](?:[ -]?[0-9]){2,7})(?![\w]|[.,][0-9])"

#: Where a word that a secret follows stands; what follows is then looked at by the patterns below.
_NAMED = re.compile(any_of(f"{_MEMORIZED}|{_CODE}|{_MACHINE_KEYS}"))
_IS_PASSWORD = re.compile(rf"{_NAMES}{_LINK}(?P<verb>{_VERB}|\s)(?P<quote>{_OPEN}){_VALUE}", re.I)
_IS_CODE = re.compile(rf"{_CODES}{_LINK}(?:{_VERB}|\s){_OPEN}{_NUMBER}", re.I)
_IS_MIXED_CODE = re.compile(rf"{_CODES}{_LINK}(?P<verb>{_VERB})(?P<quote>{_OPEN}){_VALUE}", re.I)
_CODE_FIRST = re.compile(
    rf"(?<![\w.,/-]){_NUMBER}\s(?:is|ist|est|es|was|=)\s(?:my|your|the|mein|ihr|dein|der|die|das|mon|ma|votre|ton|le|"
    rf"mi|su|tu|el|la)\s(?:\w+\s)?{_CODES}\b",
    re.I,
)
_ASKED = re.compile(rf"\b{_ASKED_FOR}\b[^.!]{{0,60}}[?.:!]?\s*$", re.I)
_ANSWER = re.compile(
    r"^(?:(?:sure|yes|ok(?:ay)?|it'?s|it is|here|the|code|is|ja|oui|sí|si|es|c'est|er|sie|lautet|voici|klar|hier|my|"
    r"mein|ist|it|you|go|thanks|one|sec)\b[\s,:.!-]*){0,5}"
    r"(?P<value>[^\s\"“”„«»]{4,40}|[0-9]{3}[ -][0-9]{3})[.!]?(?:\s|$)",
    re.I,
)

#: Keys and tokens whose makers gave them a shape of their own.
_SHAPES = re.compile(
    r"(?<![\w-])(?=[sprgAxehn-])(?:(?:sk|pk|rk)[-_](?:live[-_]|test[-_]|proj-|ant-)?[\w-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![\w-])|xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))"
)
_TRAILING = ".,;:!?)]}'’»\""


def find_secrets(text: str) -> Iterator[Span]:
    """Secrets within one turn."""
    for match in _SHAPES.finditer(text):
        yield Span(match.start(), match.end(), Kind.SECRET, match[0])
    for match in _CODE_FIRST.finditer(text):
        yield Span(match.start("value"), match.end("value"), Kind.SECRET, match["value"])
    for start in map(re.Match.start, _NAMED.finditer(lower(text))):
        if text[start - 1 : start].isalnum():
            continue
        if code := _IS_CODE.match(text, start):
            yield Span(code.start("value"), code.end("value"), Kind.SECRET, code["value"])
        for pattern in (_IS_PASSWORD, _IS_MIXED_CODE):
            if (named := pattern.match(text, start)) and (span := _read_value(named)):
                yield span


def _read_value(match: re.Match[str]) -> Span | None:
    """What follows `my password is`, if it is a secret."""
    if match["quoted"]:
        return Span(match.start("quoted"), match.end("quoted"), Kind.SECRET, match["quoted"])
    # An exclamation mark in the middle of a sentence belongs to the password.
    is_amid = match["value"][-1] in "!?" and match.string[match.end("value") :][1:2].islower()
    value = match["value"] if is_amid else match["value"].rstrip(_TRAILING)
    if not _is_secret(value, is_told=bool(match["quote"]) or match["verb"].strip() in (":", "=", "->", "→")):
        return None
    return Span(match.start("value"), match.start("value") + len(value), Kind.SECRET, value)


#: A longer turn is no answer to a question for a code.
MAX_ANSWER_CHARS = 80
#: Of a turn, what can be its last question.
_QUESTION_CHARS = 160


def find_answer(text: str, question: str) -> Iterator[Span]:
    """A secret that answers the turn before, which asked for one: `Which code did you get?` `482913`."""
    if not _ASKED.search(question, max(0, len(question) - _QUESTION_CHARS)):
        return
    match = _ANSWER.match(text)
    if match is None:
        return
    value = match["value"].rstrip(_TRAILING)
    if len(text.split()) <= 8 and _is_secret(value, is_told=False):
        yield Span(match.start("value"), match.start("value") + len(value), Kind.SECRET, value)


def _is_secret(value: str, *, is_told: bool) -> bool:
    """Whether this can be a secret, and is no word of the sentence, which follows `my password is` as often.

    Args:
        is_told: whether a colon or a quotation mark says that a value follows.
    """
    if len(value) < 3 or value.startswith("["):
        return False
    has_digit = any(map(str.isdigit, value))
    if is_told:
        return value.casefold() not in _PLAIN_WORDS
    is_long = len(value) >= 4
    return is_long and ((has_digit and not _AMOUNT.fullmatch(value)) or _is_odd(value) or "@" in value[:-1])


_AMOUNT = re.compile(r"[€$£]?[0-9]+[.,:/][0-9.,:/]*[€$£%]?|[0-9]+(?:st|nd|rd|th|am|pm|min|h|x|k|°)|[€$£][0-9]+", re.I)


#: What follows `password:` and is none.
_PLAIN_WORDS = frozenset(
    word
    for line in (
        "the and not but how what why when can can't cannot could does doesn't did didn't have has had was is isn't",
        "are wrong incorrect invalid correct expired forgotten forgot lost reset change changed none nothing unknown",
        "missing required blocked locked working works never always still your you my our their his her this that",
        "please help hello thanks issue issues problem problems error login account email mail new old same",
        "nicht falsch vergessen ungültig abgelaufen geht ich das die der kein keine neu alt gesperrt wurde wird",
        "oublié erroné expiré perdu invalide pas non les une est mon votre bloqué",
        "olvidada incorrecta inválida caducada perdida no una los las mi bloqueada",
    )
    for word in line.split()
)


def _is_odd(value: str) -> bool:
    """Capitals inside a word."""
    return any(map(str.islower, value)) and any(map(str.isupper, value[1:]))
