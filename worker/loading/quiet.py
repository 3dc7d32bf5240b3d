"""Silences the libraries while a model loads: stderr belongs to our own messages."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger


def silence_bitsandbytes() -> None:
    """bitsandbytes warns about optional kernels on import, and about casts at every layer of every step."""
    getLogger("bitsandbytes").setLevel(ERROR)


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Let Hugging Face libraries print only errors inside the block; restore their settings after it."""
    silence_bitsandbytes()
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from transformers.utils import logging

    had_bars, had_hub_bars = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    verbosity = logging.get_verbosity()
    logging.disable_progress_bar()
    disable_progress_bars()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            logging.enable_progress_bar()
        if had_hub_bars:
            enable_progress_bars()
