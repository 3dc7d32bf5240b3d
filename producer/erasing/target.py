"""What is to be erased, in the forms in which files hold it."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from aftercall.ledger.erasure import Found
from producer.formulas import unguard


def digest(text: str) -> str:
    """SHA-256, in hex: says in a receipt what was erased, without saying it."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Target:
    """One conversation, under the caller's id."""

    external_id: str
    #: Where it stands; empty if the ledger no longer has it.
    places: tuple[Found, ...]
    #: Whether every conversation of this id is meant, and not that of one submission.
    is_everywhere: bool

    @property
    def texts(self) -> frozenset[str]:
        """Its cleaned texts, without those that another id holds too."""
        return frozenset(place.text for place in self._own)

    @property
    def job_keys(self) -> frozenset[str]:
        """Of the jobs that no other place holds."""
        return frozenset(place.job_key for place in self._own)

    @property
    def job_ids(self) -> frozenset[int]:
        """Of the jobs that no other place holds."""
        return frozenset(place.job_id for place in self._own)

    @property
    def submission_ids(self) -> list[int]:
        """The submissions that hold it."""
        return sorted({place.submission_id for place in self.places})

    def is_row(self, row: dict[str, str]) -> bool:
        """Whether a row of a file is about it: by its text, by its job's number, or by the caller's id."""
        if any(unguard(row.get(column) or "") in self.texts for column in ("conversation", "transcript")):
            return True
        if not self.is_everywhere:
            return bool(row.get("job")) and row["job"] in {str(place.job_id) for place in self.places}
        return unguard(row.get("id") or "") == self.external_id

    @property
    def _own(self) -> Iterable[Found]:
        return (place for place in self.places if not place.num_other_places)
