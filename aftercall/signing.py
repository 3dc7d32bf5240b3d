"""Signs messages with a shared key, so that write access to Redis is not access to the workers.

The signature covers the message's body as canonical JSON. It is off without a key. A signed message is valid for any
worker and at any time: replaying one is harmless, because a worker claims its jobs in the ledger first.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

#: The field of a message's body that holds its signature.
SIGNATURE = "signature"


def sign(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The body with its signature; without a key, the body as it is."""
    return {**body, SIGNATURE: _signature(body, key)} if key else dict(body)


def is_genuine(body: Mapping[str, Any], key: str) -> bool:
    """Whether the body carries the signature of `key`; without a key, every body is genuine."""
    if not key:
        return True
    signature = body.get(SIGNATURE)
    unsigned = {name: value for name, value in body.items() if name != SIGNATURE}
    # Compared in constant time: a duration that depends on the first difference would reveal the signature.
    return isinstance(signature, str) and hmac.compare_digest(signature.encode(), _signature(unsigned, key).encode())


def _signature(body: Mapping[str, Any], key: str) -> str:
    # Sorted and ASCII, so that producer and worker serialize the same body to the same bytes.
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key.encode(), text.encode("ascii"), hashlib.sha256).hexdigest()
