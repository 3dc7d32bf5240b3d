"""Which facts of a summary its conversation does not hold."""

from worker.verdict.facts import Facts
from worker.verdict.lexicon import NO_NAMES, STOP_STEMS

_HOURS = 24
#: A number with at least so many digits is looked for among spelled-out digits as well.
_MIN_SPELLED = 3


def find_unsupported(summary: Facts, source: Facts, *, is_same_language: bool) -> list[str]:
    """The kinds of facts, each named once a fact, that stand in the summary alone."""
    kinds = ["number"] * len(_numbers(summary, source))
    kinds += ["currency"] * len(_currencies(summary, source))
    kinds += ["date"] * _count_dates(summary, source)
    kinds += ["code"] * sum(not _has_code(code, source) for code in summary.codes)
    kinds += ["link"] * len(summary.links - source.links)
    kinds += ["name"] * len(_names(summary, source, is_same_language=is_same_language))
    return kinds


def _numbers(summary: Facts, source: Facts) -> set[str]:
    missing = summary.numbers - source.numbers
    return {number for number in missing if not _is_heard(number, source)}


def _is_heard(number: str, source: Facts) -> bool:
    """A number that stands otherwise: spelled out digit by digit, as a time, or as minutes after the hour."""
    if number in source.spoken:
        return True
    digits = "".join(each for each in number if each.isdigit())
    if len(digits) >= _MIN_SPELLED and digits in source.digits.replace(" ", ""):
        return True
    if number.isdigit() and int(number) < _HOURS and int(number) % 12 * 60 in source.times:
        return True
    if number.isdigit() and 12 < int(number) < _HOURS and str(int(number) % 12) in source.numbers | source.spoken:
        return True
    hour, _, minute = number.replace(".", ":").partition(":")
    if not minute or int(hour) >= _HOURS:
        return False
    minute = minute.ljust(2, "0")[:2]
    heard = source.numbers | source.spoken
    return int(hour) % 12 * 60 + int(minute) in source.times or {str(int(hour) % 12 or 12), str(int(minute))} <= heard


def _currencies(summary: Facts, source: Facts) -> set[tuple[str, str]]:
    """Amounts whose value the conversation has in another currency alone."""
    known: dict[str, set[str]] = {}
    for value, currency in source.amounts:
        known.setdefault(value, set()).add(currency)
    return {(value, currency) for value, currency in summary.amounts if value in known and currency not in known[value]}


def _count_dates(summary: Facts, source: Facts) -> int:
    """Days of a month that the conversation dates otherwise, months and weekdays that it does not name."""
    wrong = 0
    for day, month in summary.dates - source.dates:
        others = {known for known, of in source.dates if of == month}
        wrong += bool(others) and str(day) not in source.numbers - {str(other) for other in others}
    return wrong + len(summary.months - source.months) + len(summary.weekdays - source.weekdays)


def _has_code(code: str, source: Facts) -> bool:
    if code in source.codes or any(code in other or other in code for other in source.codes if len(other) > 3):
        return True
    digits = "".join(each for each in code if each.isdigit())
    return digits in source.numbers or (len(digits) > 1 and digits in source.digits.replace(" ", ""))


def _names(summary: Facts, source: Facts, *, is_same_language: bool) -> set[str]:
    heard = set(source.words)
    missing = summary.names - heard - NO_NAMES - STOP_STEMS
    # A plural of the name is the same one.
    missing = {name for name in missing if name.rstrip("s") not in heard and f"{name}s" not in heard}
    if is_same_language or not missing:
        return missing
    # Places and brands have other endings in another language.
    return {name for name in missing if not any(word.startswith(name[:4]) for word in heard)}
