"""Profiles: how a model is asked for a summary, and which fields come back. Each is a small TOML file with a version.

An adapter is trained for one profile and refused under another, and each summary's row names the profile that it was
written under. Three ship in `aftercall/profiles`; a user's own is named by its path.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from aftercall.errors import SettingsError

#: Customers' reasons for getting in touch, unless a profile has a list of its own.
REASONS = (
    "billing", "delivery", "order", "refund", "account", "technical", "quality", "cancellation", "information", "other",
)  # fmt: skip

#: How a conversation can stand at its end. The first three are judged by the model, `no_answer` by rule as well.
RESOLUTIONS = ("resolved", "unresolved", "follow_up", "no_issue", "no_answer")

_FOLDER = Path(__file__).parent / "profiles"

_LANGUAGES = {
    "en": "English", "de": "German", "es": "Spanish", "fr": "French", "it": "Italian", "nl": "Dutch",
    "pt": "Portuguese", "pl": "Polish", "sv": "Swedish",
}  # fmt: skip

Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Name = Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShot:
    """A conversation and the completion that the model should write for it, shown in every prompt."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    #: One `user: …` or `agent: …` line a turn.
    conversation: str
    completion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One way to ask for a summary."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Name
    version: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=16)]
    #: What the model is told; may name `{language}`, `{reasons}` and `{resolutions}`.
    instruction: str
    #: `completion`: headers in plain text, for trained adapters; `chat`: the tokenizer's own chat template.
    template: Literal["completion", "chat"]
    #: Whether a completion is lines and labels, as `aftercall.fields` reads them, instead of the summary alone.
    fields: bool = False
    #: A completion's limit, in tokens, unless the settings have one.
    max_new_tokens: Annotated[int, Field(ge=1, le=4096)] = 200
    #: Of the summary; an ISO 639-1 code.
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"
    examples: tuple[FewShot, ...] = ()
    #: With the completion template: the line before the summary.
    response_header: str = "### Response:"
    #: A completion ends before this string at the start of a line; empty: at end-of-text only.
    stop: str = "###"
    reasons: Annotated[tuple[Label, ...], Field(min_length=1)] = REASONS
    resolutions: Annotated[tuple[Label, ...], Field(min_length=1)] = RESOLUTIONS

    @property
    def id(self) -> str:
        """What manifests and summaries call it; adapters from before there were profiles say `1`."""
        return "1" if self.name == "tweetsumm-1" else f"{self.name}/{self.version}"

    @property
    def told(self) -> str:
        """The instruction with its names filled in."""
        words = {
            "{language}": _LANGUAGES.get(self.language, self.language),
            "{reasons}": ", ".join(self.reasons),
            "{resolutions}": ", ".join(self.resolutions),
        }
        return re.sub(r"\{\w+\}", lambda found: words.get(found[0], found[0]), self.instruction)


_SCHEMA: TypeAdapter[Profile] = TypeAdapter(Profile)


def load_profile(name: str) -> Profile:
    """The profile of this name, or in the TOML file at this path. Raises SettingsError if there is none."""
    path = Path(name).expanduser()
    if name in shipped():
        return shipped()[name]
    if path.suffix == ".toml" and path.is_file():
        return _read(path)
    raise SettingsError(
        f"there is no profile {name}. Name one of {', '.join(sorted(shipped()))}, or the path of a TOML file."
    )


def find_shipped(profile_id: str) -> Profile | None:
    """The shipped profile that a manifest names by this id."""
    return next((profile for profile in shipped().values() if profile.id == profile_id), None)


@cache
def shipped() -> dict[str, Profile]:
    """The profiles that ship, by name."""
    profiles = [_read(path) for path in sorted(_FOLDER.glob("*.toml"))]
    return {profile.name: profile for profile in profiles}


def _read(path: Path) -> Profile:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        profile = _SCHEMA.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"{path} is not a profile: {name}: {first['msg']}. docs/profiles.md lists the keys."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}. Correct the line, or name another profile.") from None
    if path.parent != _FOLDER and profile.name in {each.stem for each in _FOLDER.glob("*.toml")}:
        raise SettingsError(f"{path} has the name of a profile that ships: {profile.name}. Give it another name.")
    return profile


#: The profile of adapters from before there were profiles, and of base models unless the settings name another.
TWEETSUMM = shipped()["tweetsumm-1"]
