"""What only strict mode takes: postal addresses, postcodes, dates of birth, licence plates and user names.

By shape where a country's shape is its own, by the words before it otherwise.
"""

import re
from collections.abc import Iterator

from aftercall.redaction.kinds import Kind, Span

_CAPITAL = r"[A-ZÀ-ÖØ-Þ][\w'’.-]*"
_NUMBER = r"[0-9]{1,5}(?: ?[A-Za-z]\b)?(?: ?[-/] ?[0-9]{1,4})?"
_UNIT = r"(?:,? (?i:apt|apartment|unit|suite|flat|floor|#)\.? ?[0-9A-Za-z-]{1,6})?"

_ADDRESSES = (
    # 221B Baker Street, 10 Downing St
    rf"\b{_NUMBER} (?:{_CAPITAL} ){{1,4}}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Way|Court|Ct|"
    rf"Place|Pl|Square|Sq|Terrace|Close|Crescent|Parkway|Pkwy|Circle|Highway|Hwy|Gardens|Grove|Mews|Row)\b\.?{_UNIT}",
    # Hauptstraße 5, Lange Str. 12a, Am Alten Markt 3, Keizersgracht 12
    rf"\b[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|kade|gracht) "
    rf"?{_NUMBER}",
    rf"\b(?:{_CAPITAL} ){{1,2}}(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|Damm) {_NUMBER}",
    rf"\b(?:Am|An der|Auf der|Im|In der|Zum|Zur) (?:{_CAPITAL} ){{1,2}}[0-9]{{1,4}}[a-z]?\b",
    # 12 bis rue de la Paix
    rf"\b[0-9]{{1,4}}(?: ?(?:bis|ter|quater))?,? (?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|route|"
    rf"cours|square) (?:(?:de|du|des|la|le|les|l'|d') ?)*{_CAPITAL}(?: {_CAPITAL})*",
    # Calle Mayor 12, Via Roma 3, Rua Augusta 100
    r"\b(?:Calle|C/|Avenida|Avda\.?|Plaza|Paseo|Camino|Via|Viale|Piazza|Corso|Largo|Rua|Travessa|ul\.|ulica) "
    rf"(?:(?:de|del|la|las|los|el|da|do|di|della) )*(?:{_CAPITAL} ?){{1,4}},? ?(?:n[.ºo°]* ?)?[0-9]{{1,4}}\b",
    # P.O. Box 123, Postfach 12 34
    r"\b(?:P\.? ?O\.? Box|Postfach|Apartado de correos|boîte postale|BP) [0-9][0-9 ]{0,6}[0-9]?\b",
)
_ADDRESS = [re.compile(pattern, re.IGNORECASE if "rue|" in pattern else 0) for pattern in _ADDRESSES]

_POSTCODES = (
    r"\b(?:[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][ABD-HJLNP-UW-Z]{2}|GIR 0AA)\b",  # United Kingdom
    r"\b[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z] ?[0-9][A-Z][0-9]\b",  # Canada
    r"\b[1-9][0-9]{3} (?!(?:AM|PM|EU|US|UK|TV|CO|KM|KG|PC|OK|ID)\b)[A-Z]{2}\b",  # Netherlands
    r"(?<=, )[A-Z]{2} [0-9]{5}(?:-[0-9]{4})?\b",  # United States, after a city
    r"\b(?:D|A|CH|F|I|E|B|L)-[0-9]{4,5}\b",
    r"(?<=, )[0-9]{4,5}(?= [A-ZÀ-Þ][a-zà-ÿ])",  # behind a street, before a city
    r"(?<=[0-9a-z] )[0-9]{5}(?= [A-ZÀ-Þ][a-zà-ÿ]+(?:[.,]|$))",
    r"\b[0-9]{5}-[0-9]{3}\b",  # Brazil
)
_POSTCODE = re.compile("|".join(_POSTCODES))
_NAMED_POSTCODE = re.compile(
    r"\b(?:zip(?: ?code)?|post(?:al)? ?code|plz|postleitzahl|code postal|c[óo]digo postal|cap|cep|pincode|postcode)"
    r"(?: (?:is|ist|est|es|of|now|lautet|number))*\s?[:=]?\s"
    r"(?P<value>[A-Z0-9]{2,5}[ -]?[0-9A-Z]{0,4}[0-9][A-Z0-9]{0,3})\b",
    re.IGNORECASE,
)
_MONTH = (
    r"(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|janv|févr|mars|avr|juin|juil|août|déc|ene|abr|"
    r"ago|dic)[a-zéûäö]*\.?"
)
_DATE = (
    r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{2,4}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|er|\.)?(?: de| of)? {_MONTH},?(?: de| del)? [0-9]{{2,4}}"
    rf"|{_MONTH} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}}|[0-9]{{8}}"
)
_BIRTHDATE = re.compile(
    r"\b(?:born(?: on| in)?|date of birth|birth ?da(?:y|te)|d\.?o\.?b\.?|geboren(?: am)?|geb\.|geburtsdatum|geburtstag|"
    r"née?(?: le)?|date de naissance|nac[ií](?:do|da|ó|miento)?(?: el)?|fecha de nacimiento|data di nascita|nato il|"
    r"nata il|geboortedatum|data de nascimento|data urodzenia)"
    rf"(?: (?:is|was|ist|war|lautet|est|es|on|am|le|el|the))*\s?[:=]?\s(?P<value>{_DATE})",
    re.IGNORECASE,
)
_PLATE = re.compile(
    r"\b(?i:licen[cs]e plate|number plate|plate(?: number| no\.?)?|registration(?: number| plate| no\.?)?|"
    r"reg(?: no\.?)?|kennzeichen|nummernschild|immatriculation|plaque(?: d'immatriculation)?|matr[íi]cula|"
    r"targa|kenteken|placa)"
    r"(?i: (?:is|ist|est|es|of|number|my car|meines autos|lautet|:))*\s?[:=]?\s"
    r"(?P<value>(?=[A-ZÄÖÜ0-9 -]*[0-9])(?=[A-ZÄÖÜ0-9 -]*[A-ZÄÖÜ])[A-ZÄÖÜ0-9]{1,8}(?:[ -][A-ZÄÖÜ0-9]{1,4}){0,3})(?![\w])"
)
_USERNAME = re.compile(
    r"\b(?:user ?names?|user ?id|login(?: name)?|account name|screen ?name|handle|gamer ?tag|benutzername|nutzername|"
    r"anmeldename|identifiant|nom d'utilisateur|pseudo|usuario|nombre de usuario|nome utente|gebruikersnaam)"
    r"(?P<verb>(?: (?:is|was|ist|lautet|est|es))?\s?[:=]\s?|\s(?:is|was|ist|lautet|est|es)\s)"
    r"[\"'“„«]?(?P<value>[\w.+-]*[\w+-])",
    re.IGNORECASE,
)


def find_addresses(text: str) -> Iterator[Span]:
    """Street and house number, as a country writes them, and post office boxes."""
    for pattern in _ADDRESS:
        for match in pattern.finditer(text):
            yield _to_span(match, Kind.ADDRESS)


def find_postcodes(text: str) -> Iterator[Span]:
    """Postcodes of a shape of their own, behind a house number, or after a word that names them."""
    for match in _POSTCODE.finditer(text):
        yield _to_span(match, Kind.POSTCODE)
    for match in _NAMED_POSTCODE.finditer(text):
        yield _to_span(match, Kind.POSTCODE, "value")


def find_birthdates(text: str) -> Iterator[Span]:
    """Dates after a word for birth."""
    for match in _BIRTHDATE.finditer(text):
        yield _to_span(match, Kind.BIRTHDATE, "value")


def find_plates(text: str) -> Iterator[Span]:
    """Letters and digits in capitals after a word for a licence plate."""
    for match in _PLATE.finditer(text):
        yield _to_span(match, Kind.PLATE, "value")


def find_usernames(text: str) -> Iterator[Span]:
    """What follows `username:`; after `username is` only what is no plain word."""
    for match in _USERNAME.finditer(text):
        value = match["value"]
        if not value.isalpha() or match["verb"].strip().endswith((":", "=")):
            yield _to_span(match, Kind.USERNAME, "value")


def _to_span(match: re.Match[str], kind: Kind, group: str | int = 0) -> Span:
    return Span(match.start(group), match.end(group), kind, " ".join(match[group].casefold().split()))
