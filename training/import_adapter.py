"""`aftercall adapters import`: from somebody else's LoRA folder to a registered candidate."""

from pathlib import Path
from tempfile import TemporaryDirectory

from aftercall.errors import AdapterError
from aftercall.prompt import PROMPT_VERSION
from training.context import TrainingContext, register
from training.registry.publish import Origin, publish
from training.registry.registry import Entry

#: An imported adapter's recipe and training data are not known here.
UNKNOWN = "imported"


def import_adapter(
    context: TrainingContext, source: str, base: str, prompt_version: str, quantization: str
) -> tuple[Entry, tuple[str, ...]]:
    """Fetch, check, convert, publish and register an adapter; returns its entry and the names of its layers.

    Raises AdapterError if it cannot be served: another prompt, more than plain LoRA, or layers that do not fit `base`.
    """
    if prompt_version != PROMPT_VERSION:
        raise AdapterError(
            f"prompt version {prompt_version} is not this version's, {PROMPT_VERSION}: workers would ask the adapter "
            "in a way it was not trained for. Train it with this version's prompt."
        )
    # Needs torch and transformers, which the commands that list adapters do without.
    from training.registry.importing import convert_adapter, fetch_adapter
    from worker.loading.base_model import find_base_model

    model = find_base_model(base, context.settings.data_dir)
    with TemporaryDirectory() as parent:
        converted = Path(parent) / "adapter"
        names = convert_adapter(fetch_adapter(source), model, converted)
        origin = Origin(
            base_model=model.name,
            base_digest=model.digest,
            quantization=quantization,
            recipe=UNKNOWN,
            data_digest=UNKNOWN,
            metrics={},
        )
        published = publish(converted, context.settings.adapters_dir, origin)
    return register(context, published), names
