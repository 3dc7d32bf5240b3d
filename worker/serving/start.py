"""Starts what is served: chooses the adapter, loads the model, starts the engine."""

import logging
from functools import partial
from pathlib import Path

from sqlalchemy import Engine as Database

from aftercall.errors import SettingsError
from aftercall.ledger import adapters
from aftercall.profile import Profile
from aftercall.settings import Settings
from worker.engine import start_engine
from worker.engine.base import SamplingSettings
from worker.loading.base_model import find_base_model
from worker.loading.load import ModelSettings, load_model
from worker.loading.precision import Device
from worker.serving.adapter_pool import AdapterPool
from worker.serving.desired import find_desired
from worker.serving.hot_swap import LiveAdapter
from worker.serving.prompts import PromptEncoder
from worker.serving.served import NUM_SAMPLES, Served

logger = logging.getLogger(__name__)

#: In tokens. Many support conversations are longer than this, so a smaller limit is worth a warning.
_SMALL_LIMIT = 512

#: How samples are drawn that compete with the likeliest completion: at 1.0 most are worse than it.
_TRIES_TEMPERATURE = 0.7


def load_served(settings: Settings, database: Database, device: Device) -> Served:
    """Load the model that the settings ask for and start its engine.

    Raises ModelError, AdapterError or SettingsError, with the next step.
    """
    is_following = settings.adapter == "auto"
    loaded = load_model(
        ModelSettings(
            base_model=settings.base_model,
            quantization=settings.quantization,
            compute_dtype=settings.compute_dtype,
            adapter_path=choose_adapter(settings, database),
            device=device,
            cache_dir=settings.data_dir,
            may_dequantize=True,
            is_swappable=is_following,
            profile=settings.profile,
            max_model_len=settings.max_model_len,
        )
    )
    sampling = make_sampling(settings, loaded.profile)
    live_adapter = LiveAdapter(loaded) if is_following else None
    engine = start_engine(loaded, sampling)
    room = engine.max_prompt_tokens - PromptEncoder(loaded.tokenizer, loaded.profile).num_instruction_tokens
    if room <= 0:
        engine.close()
        raise SettingsError(
            f"AFTERCALL_MAX_NEW_TOKENS={sampling.max_new_tokens} leaves no room for a conversation in this model's "
            "context: set a smaller one."
        )
    held = engine.max_prompt_tokens + sampling.max_new_tokens
    if "max_model_len" in settings.model_fields_set and settings.max_model_len > held:
        logger.warning(
            "%s has a context of %d tokens, less than AFTERCALL_MAX_MODEL_LEN=%d: longer conversations are cut",
            loaded.provenance.base_model, held, settings.max_model_len
        )  # fmt: skip
    elif room < _SMALL_LIMIT:
        logger.warning(
            "%s reads at most %d tokens of a conversation: its context or sliding window, less "
            "AFTERCALL_MAX_NEW_TOKENS. Longer conversations are cut", loaded.provenance.base_model, room
        )  # fmt: skip
    pool = AdapterPool(loaded, engine, partial(adapters.find_folder, database), settings.max_adapters)
    return Served(
        engine, loaded.tokenizer, loaded.provenance, sampling, live_adapter, loaded.profile, settings.tries, pool
    )


def make_sampling(settings: Settings, profile: Profile) -> SamplingSettings:
    """The sampling settings of the engine, from AFTERCALL_* settings; the profile's limit where they have none."""
    is_drawn_for_tries = settings.tries != "off" and not settings.do_sample
    return SamplingSettings(
        max_new_tokens=settings.max_new_tokens or profile.max_new_tokens,
        stop_string=f"\n{profile.stop}" if profile.stop else "",
        do_sample=settings.do_sample,
        top_k=settings.top_k,
        top_p=settings.top_p,
        temperature=_TRIES_TEMPERATURE if is_drawn_for_tries else settings.temperature,
        seed=settings.seed,
        num_samples=NUM_SAMPLES if settings.tries != "off" else 0,
    )


def choose_adapter(settings: Settings, database: Database) -> Path | None:
    """The folder of the adapter that the settings name; with `auto`, of the active or shipped one; or None."""
    if settings.adapter == "none":
        return None
    if settings.adapter != "auto":
        return Path(settings.adapter)
    # By name, because the path of a local folder does not say which model it holds.
    name = find_base_model(settings.base_model, settings.data_dir).name
    wanted = find_desired(database, name)
    if wanted.folder is None and (namesake := adapters.find_namesake(database, name)):
        logger.warning(
            "no adapter is active for %s, but one is for %s: if that is the same model, set AFTERCALL_BASE_MODEL to "
            "the name that it was trained under, or AFTERCALL_ADAPTER to its folder", name, namesake
        )  # fmt: skip
    return wanted.folder
