"""The patterns by which a user says who the agents and the customers are: `--agents 'Maria*,Tom*'`. Pure."""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property

from aftercall.conversation import Speaker
from aftercall.errors import SourceError
from producer.readers.sides.speakers import plain_label


@dataclass(frozen=True)
class SideRules:
    """Glob patterns: `*` stands for anything, `?` for one character, case doesn't matter."""

    agents: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()

    @property
    def rest(self) -> Speaker | None:
        """The side of everybody whom no pattern names: where only one side is told, they are the other."""
        if bool(self.agents) == bool(self.customers):
            return None
        return "user" if self.agents else "agent"

    def find(self, label: str) -> tuple[Speaker, str] | None:
        """The side of a label that a pattern names, and the pattern.

        Raises SourceError if patterns of both sides name it.
        """
        plain = plain_label(label)
        agent = next((written for written, pattern in self._agents if pattern.fullmatch(plain)), None)
        customer = next((written for written, pattern in self._customers if pattern.fullmatch(plain)), None)
        if agent is not None and customer is not None:
            raise SourceError(
                f"{label[:60]!r} is named by --agents {shlex.quote(agent)} and by --customers {shlex.quote(customer)}; "
                "make one of the patterns narrower."
            )
        return ("agent", agent) if agent is not None else ("user", customer) if customer is not None else None

    @cached_property
    def _agents(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(written, _compile(written)) for written in self.agents]

    @cached_property
    def _customers(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(written, _compile(written)) for written in self.customers]


def parse_rules(agents: str | None, customers: str | None) -> SideRules:
    """The rules as they are written on the command line, patterns separated by commas.

    Raises SourceError on an option that holds no pattern.
    """
    return SideRules(_parse("--agents", agents), _parse("--customers", customers))


def _parse(option: str, written: str | None) -> tuple[str, ...]:
    patterns = tuple(pattern for part in (written or "").split(",") if (pattern := part.strip()))
    if written is not None and not patterns:
        raise SourceError(f"{option} names nobody; write names or patterns, as in {option} 'Maria*,Tom*'.")
    return patterns


def _compile(pattern: str) -> re.Pattern[str]:
    # Not fnmatch: labels such as `[Bot]` have brackets of their own. Runs of stars would make the matching slow.
    parts = re.split(r"(\*+|\?)", plain_label(pattern))
    return re.compile("".join(".*?" if part[:1] == "*" else "." if part == "?" else re.escape(part) for part in parts))


def how_to_tell(label: str) -> str:
    """What to type to say whose label this is."""
    pattern = shlex.quote(" ".join(label.replace(",", "?").split())[:60])
    return f"say it with --agents {pattern} or --customers {pattern}; patterns such as 'Maria*,Tom*' work too"
