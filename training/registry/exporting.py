"""Writes an adapter as a folder that plain peft, vLLM and the Hugging Face hub take, with a model card.

Judgements and the digests of the training data stay behind: they concern real conversations.
"""

import json
from pathlib import Path

from aftercall.errors import AdapterError
from aftercall.settings import PACKAGED_MODEL
from training.files import filling_artifact
from training.registry.card import CARD_FILE, CURVE_FILE
from worker.adapters.manifest import CONFIG_FILE, MANIFEST_FILE, WEIGHTS_FILE, AdapterManifest, read_manifest

#: Hub ids of base models that have another name here.
_HUB_IDS = {PACKAGED_MODEL: "HuggingFaceTB/SmolLM2-135M-Instruct"}


def export_adapter(folder: Path, out: Path) -> Path:
    """Write the adapter in `folder` to `out`, which must not exist; returns `out`. AdapterError if it cannot be."""
    if out.exists():
        raise AdapterError(f"{out} exists; name a new folder")
    manifest = read_manifest(folder)
    base = _HUB_IDS.get(manifest.base_model, manifest.base_model)
    config = json.loads((folder / CONFIG_FILE).read_bytes()) | {"base_model_name_or_path": base}
    with filling_artifact(out.parent) as aside:
        (aside / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (aside / WEIGHTS_FILE).write_bytes((folder / WEIGHTS_FILE).read_bytes())
        (aside / MANIFEST_FILE).write_bytes((folder / MANIFEST_FILE).read_bytes())
        if (folder / CURVE_FILE).is_file():
            (aside / CURVE_FILE).write_bytes((folder / CURVE_FILE).read_bytes())
        (aside / CARD_FILE).write_text(_front_matter(base) + _read_card(folder, manifest))
        aside.rename(out)
    return out


def _front_matter(base: str) -> str:
    """The YAML that the hub reads; JSON strings are YAML strings."""
    lines = (
        f"base_model: {json.dumps(base)}",
        "base_model_relation: adapter",
        "library_name: peft",
        "pipeline_tag: text-generation",
        "tags: [lora, summarization, customer-support, aftercall]",
    )
    return "\n".join(["---", *lines, "---", "", ""])


def _read_card(folder: Path, manifest: AdapterManifest) -> str:
    path = folder / CARD_FILE
    if path.is_file():
        return path.read_text()
    return f"# Adapter {manifest.digest}\n\nA LoRA adapter for `{manifest.base_model}`, without a card of its own.\n"
