"""Which conversations an adapter was trained on: digests in a file of its folder, which reveal no conversation."""

import json
from collections.abc import Collection, Iterable
from hashlib import sha256
from pathlib import Path

from aftercall.errors import AdapterError

TRAINED_ON_FILE = "trained_on.json"


def digest_text(text: str) -> str:
    """64 bits, in hex, of the digest of a conversation's text as the prompt holds it."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def read_trained_on(folder: Path) -> frozenset[str] | None:
    """The digests of an adapter's conversations; None if it has no record of them. Raises AdapterError if damaged."""
    path = folder / TRAINED_ON_FILE
    if not path.exists():
        return None
    try:
        return frozenset(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise AdapterError(f"{path} is not JSON ({error}). Copy the adapter's folder again.") from error


def find_trained_on(folders: Iterable[Path], texts: Collection[str]) -> list[str]:
    """The names of the adapters that were trained on any of the conversations."""
    digests = set(map(digest_text, texts))
    return sorted({folder.name for folder in folders if digests & (read_trained_on(folder) or frozenset())})
