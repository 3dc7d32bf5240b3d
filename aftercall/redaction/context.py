"""Words around a number that say what it is: an order, or a telephone."""

import re

from aftercall.redaction.patterns import any_of, lower

#: Characters before a number, and behind it, in which such words are looked for.
_BEFORE = 44
_AFTER = 30

#: What numbers and codes are called that stay: they name no person, and a summary needs them.
_REFERENCES = (
    r"orders?\b|order(?:number|nr|id)|tracking|track\b|parcel|package|shipment|shipping|delivery|consignment|waybill|"
    r"awb\b|ref\b|ref[.:#]|referen|case\b|ticket|incident|invoice|bill\b|booking|reservation|pnr\b|confirmation|flight|"
    r"transaction|txn|serial|imei\b|iccid|meter|sku\b|item|product|model|part\b|article|isbn|ean\b|upc\b|barcode|"
    r"policy|claim|contract|quote|voucher|coupon|promo|gift ?card|loyalty|member|reward|customer (?:no|num|id)|"
    r"customer ?number|client (?:no|num|id)|account (?:no|num|id)|rma\b|po number|purchase|version|firmware|build\b|"
    r"job id|session|asin\b|vin\b|"
    r"bestell|auftrag|sendung|paket|rechnung|vorgang|kundennummer|kundennr|kunden-nr|zähler|vertrag|buchung|artikel|"
    r"gutschein|serien|beleg|aktenzeichen|versicherungsschein|police\b|fahrgestell|"
    r"commande|suivi|référence|facture|dossier|colis|réservation|compteur|contrat|billet|numéro client|bon d|vol\b|"
    r"pedido|seguimiento|factura|reserva|contador|contrato|billete|incidencia|envío|vuelo|localizador|"
    r"ordine|spedizione|fattura|prenotazione|contatore|pratica|bestelling|zending|factuur|boeking|meterstand|"
    r"encomenda|rastreio|fatura|zamówieni|przesyłk|faktur|"
    r"[€$£]|\b(?:eur|usd|gbp|euros?|dollars?|price|cost|total|amount|charged|paid|betrag|preis|prix|precio|importe)\b"
)
_PHONES = (
    r"phone|\bmobile|\bcell\b|cellphone|\btel\b|tel[.:]|tel[eé]f|télé|handy|mobil|portable|móvil|celular|whats ?app|"
    r"\btext\b|\bsms\b|\bcall|dial|\bring\b|reach (?:me|us)|contact (?:me|number|no)|\bfax|\bfon\b|number to reach|"
    r"anruf|ruf(?:en|t)?\b|rückruf|erreich|rappel|appel|joindre|joignable|llam|contact[oa]r?\b|cellulare|chiam|"
    r"\bbel(?:len)?\b|telefoon|mobiel|ligar|ligue|zadzwo|hotline|helpline|toll[- ]free"
)
_REFERENCE = re.compile(any_of(_REFERENCES))
_PHONE = re.compile(any_of(_PHONES))


def is_reference(text: str, start: int) -> bool:
    """Whether the nearest word before says that this is an order, a price or another number that stays."""
    before = lower(text[max(0, start - _BEFORE) : start])
    return _last(_REFERENCE, before) > _last(_PHONE, before)


def is_phone(text: str, start: int, end: int) -> bool:
    """Whether the nearest word before, or else one right behind, says that this is a telephone number."""
    before = lower(text[max(0, start - _BEFORE) : start])
    reference, phone = _last(_REFERENCE, before), _last(_PHONE, before)
    if reference != phone:
        return phone > reference
    return _PHONE.search(lower(text[end : end + _AFTER])) is not None


def has_before(pattern: re.Pattern[str], text: str, start: int) -> bool:
    """Whether a word of this kind stands shortly before."""
    return pattern.search(text, max(0, start - _BEFORE), start) is not None


def _last(pattern: re.Pattern[str], text: str) -> int:
    """Where the last match ends; -1 if there is none."""
    return max((match.end() for match in pattern.finditer(text)), default=-1)
