"""Whether a text can hold anything to redact: a look that costs next to nothing, as most texts hold nothing.

It may be wrong in one direction only: what it lets pass holds nothing that a detector would find.
"""

import re

#: What a text has that a detector needs, as bits. Integers: an enumeration takes as long as a detector.
AT, NUMBER, COLONS, WORD = 1, 2, 4, 8
#: Any digit: strict mode alone asks for it.
DIGIT = 16
ALL = 31

#: Digits become zeros, capitals small, and rare letters one another: each pattern begins with one rare byte, which is
#: found at the memory's speed, and one byte for several letters takes one search for several words.
_FOLDED = bytes.maketrans(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZgwxz\x82\xbc", b"0000000000abcdefchijklmnopqrstuvkjyjckjj__"
)

Words = tuple[re.Pattern[bytes], ...]

#: Six digits with little between them, or the digits of an Italian tax code, an Indian PAN or an IP address.
_NUMBER = re.compile(rb"0(?:(?:[ ./()-]{0,3}0){5}|000[a-z]|0[a-z]00|0{0,2}\.0{1,3}\.0{1,3}\.0)")
_COLONS = re.compile(rb":[0-9a-f]{0,4}:")
#: `(at)` and `[at]`.
_AT = (re.compile(rb"\((?:at|@|\xc3)"), re.compile(rb"\[(?:at|@)"))
#: Parts of the words that secrets and passport numbers follow, and of the shapes of keys; g as c, w as k, x and z as j.
WORDS: Words = tuple(
    re.compile(pattern)
    for pattern in (
        # password passcode passport, pin, puk, pw pwd, api key, otp, mdp, glpat
        rb"p(?:ass[kcepn]|asap|in[ :=c](?<=[ -]pin.)|uk[ :=]|k[d :=]|i(?:[ _-]k|k)|(?<=otp)[ :=]|(?<=mdp)|"
        rb"at(?<=clpat))",
        # code, cvv, clave, codice, contraseña, secret, licence, geheim, código de
        rb"c(?:ode|v[vc]|lave|odice|redential|ontrase|rypto|ret|en[cs]e|eheim|o (?:de|sms|pin|sec))",
        # token, kennwort, key, kod, AKIA, sk-, wachtwoord, ausweis
        rb"k(?:en(?<=token)|enn|ey(?<=[ _i-]key)|od |ia|-[a-z0-9]|achtk|oor|eis)",
        # jeton, xoxb-, eyJ, AIza, zugang
        rb"j(?:eton|oj[abprs]-|(?<=eyj)|a(?<=aija)|ucanc)",
        # ghp_…, hasło, Prüfziffer, Führerschein
        rb"_(?:[a-z0_-]{8}|o(?<=has\xc5_o)|f(?:ji|nu)|hrersch)",
    )
)
#: Dashes and digits of other scripts, in UTF-8.
_FOREIGN = (
    re.compile(rb"\xe2\x80[\x90-\x95]"),
    re.compile(rb"\xef\xbc[\x80-\xbf]"),
    re.compile(rb"\xd9[\xa0-\xa9]"),
    re.compile(rb"\xdb[\xb0-\xb9]"),
    re.compile(rb"\xc2\xa0"),
    re.compile(rb"\xe2\x88\x92"),
)


def find_words(text: str) -> Words:
    """The patterns of words that match somewhere in a text; no others match in a part of it."""
    folded = _fold(text)
    return tuple([pattern for pattern in WORDS if pattern.search(folded)])


def suspect(text: str, within: int = ALL, words: Words = WORDS) -> int:
    """What is in a text that a detector should look at, of the bits in `within` and of the patterns in `words`."""
    folded = _fold(text)
    has_digit = b"0" in folded
    found = DIGIT if has_digit else 0
    if within & NUMBER and has_digit and _NUMBER.search(folded):
        found |= NUMBER
    if within & AT and (b"@" in folded or b" dot " in folded or any(pattern.search(folded) for pattern in _AT)):
        found |= AT
    if within & COLONS and _COLONS.search(folded):
        found |= COLONS
    if within & WORD:
        if b" tan" in folded:
            return found | WORD
        for pattern in words:
            if pattern.search(folded):
                return found | WORD
    return found


def _fold(text: str) -> bytes:
    return f" {text}".encode(errors="replace").translate(_FOLDED)


def is_foreign(text: str) -> bool:
    """Whether digits or dashes of other scripts stand in a text."""
    if text.isascii():
        return False
    encoded = text.encode(errors="replace")
    return any(pattern.search(encoded) for pattern in _FOREIGN)
