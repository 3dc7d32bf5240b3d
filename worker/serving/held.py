"""Which adapters a call may use. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Held:
    """What a call may use."""

    #: The engine's name of each adapter, by digest; empty for the one in the weights.
    names: Mapping[str, str] = field(default_factory=dict)
    #: Why an adapter can't be used here, by digest.
    refused: Mapping[str, str] = field(default_factory=dict)
