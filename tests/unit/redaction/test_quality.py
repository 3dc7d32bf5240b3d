"""The marked texts of tests/data/redaction: what is found, and what stays."""

import pytest

from aftercall.redaction import Mode
from aftercall.redaction.redactor import Redactor
from bench.redaction import TEXTS, Counts, judge, read_marked

#: Of all kinds together; the figures that `python -m bench.redaction` prints are a little higher.
MIN_RECALL = {"standard": 0.97, "strict": 0.95}
MIN_PRECISION = 0.98


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_nearly_all_marked_spans_are_found_and_nearly_nothing_else(mode: Mode) -> None:
    texts = read_marked(TEXTS / f"{mode}.txt")
    if mode == "standard":
        texts += read_marked(TEXTS / "negatives.txt")
    counts: list[Counts] = list(judge(texts, mode).values())
    num_right = sum(each.num_right for each in counts)
    assert num_right >= MIN_RECALL[mode] * sum(each.num_marked for each in counts)
    assert num_right >= MIN_PRECISION * sum(each.num_found for each in counts)


@pytest.mark.parametrize("kind", ["CARD", "IBAN", "IP", "EMAIL", "ID"])
def test_what_has_a_shape_or_a_check_digit_never_leaks(kind: str) -> None:
    counts = judge(read_marked(TEXTS / "standard.txt"), "standard")[kind]
    assert (counts.num_leaked, counts.num_found) == (0, counts.num_marked)


def test_the_set_is_as_large_as_it_should_be() -> None:
    marked = [each for name in ("standard", "strict") for each in read_marked(TEXTS / f"{name}.txt")]
    assert len(marked) >= 300
    assert len(read_marked(TEXTS / "negatives.txt")) >= 200


@pytest.mark.parametrize(
    "text",
    [
        "order number 4155552671 was 1,234,567.89 euros on 12.10.2025 at 10:15:30",
        "flight LH400, ticket 220-1234567890, meter 0123456789, tracking 1Z999AA10123456784",
        "order 4111111111111111 runs firmware 192.168.1.20",
    ],
)
def test_amounts_dates_and_reference_numbers_stay(text: str) -> None:
    assert Redactor("standard").redact(text) == text
