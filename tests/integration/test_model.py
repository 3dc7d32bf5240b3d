"""Loading base models and adapters from real files: what is loaded, what the record says, what is refused."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from aftercall.errors import AdapterError, ModelError
from aftercall.profile import TWEETSUMM
from tests.fixtures.model import build_tiny_model
from worker.adapters.manifest import (
    WEIGHTS_FILE,
    AdapterManifest,
    compute_digest,
    read_manifest,
    write_manifest,
)
from worker.adapters.merge import attach_adapter, merge_adapter
from worker.engine import start_engine
from worker.engine.base import Completion, SamplingSettings
from worker.loading.base_model import PACKAGED_MODEL, count_weights, find_base_model
from worker.loading.gguf_cache import ORIGIN_FILE
from worker.loading.load import LoadedModel, ModelSettings, load_model
from worker.loading.precision import choose_quantization


@pytest.fixture
def settings(tiny_model_dir: Path, tmp_path: Path) -> ModelSettings:
    return ModelSettings(str(tiny_model_dir), "auto", "auto", None, "cpu", tmp_path / "cache")


@pytest.fixture
def adapter_dir(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """An adapter for the tiny model whose weights change every score."""
    folder = tmp_path / "adapter"
    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with warnings.catch_warnings():
        # peft asks newer transformers for an attribute by its former name.
        warnings.simplefilter("ignore", FutureWarning)
        get_peft_model(build_tiny_model("llama").model, lora).save_pretrained(folder)
    base = find_base_model(str(tiny_model_dir), tmp_path)
    write_manifest(
        folder,
        AdapterManifest(
            digest=compute_digest(folder),
            base_model=base.name,
            base_digest=base.digest,
            quantization="none",
            recipe="test",
            prompt_version=TWEETSUMM.id,
            cleaner_version="1",
            data_digest="",
            metrics={},
            parents=(),
            created_at="2026-11-22T00:00:00+00:00",
        ),
    )
    return folder


def scores(loaded: LoadedModel, text: str = "user: where is my order?") -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = loaded.model(**loaded.tokenizer(text, return_tensors="pt")).logits
    return logits


def complete(loaded: LoadedModel) -> list[str]:
    """What the engine answers to a few prompts."""
    engine = start_engine(loaded, SamplingSettings(max_new_tokens=16))
    outcomes = engine.generate([loaded.tokenizer("user: " + "where is it? " * n)["input_ids"] for n in range(1, 9)])
    engine.close()
    return [outcome.text for outcome in outcomes if isinstance(outcome, Completion)]


def test_a_local_folder_is_known_by_its_name_and_digest(settings: ModelSettings, tmp_path: Path) -> None:
    loaded = load_model(settings)
    assert (loaded.provenance.base_model, loaded.provenance.quantization) == ("tiny-llama", "none")
    assert (loaded.provenance.dtype, loaded.provenance.adapter_digest) == ("float32", "")
    copy = tmp_path / "elsewhere" / "tiny-llama"
    shutil.copytree(settings.base_model, copy)
    assert load_model(replace(settings, base_model=str(copy))).provenance == loaded.provenance


def test_other_weights_have_another_digest(settings: ModelSettings, tmp_path: Path) -> None:
    tiny = build_tiny_model("llama")
    with torch.no_grad():
        tiny.model.model.norm.weight[0] += 1
    tiny.model.save_pretrained(tmp_path / "tiny-llama")
    ours = find_base_model(settings.base_model, tmp_path)
    other = find_base_model(str(tmp_path / "tiny-llama"), tmp_path)
    assert other.name == ours.name
    assert other.digest != ours.digest


def test_a_merged_and_an_attached_adapter_score_alike_and_unlike_the_base(
    settings: ModelSettings, adapter_dir: Path
) -> None:
    base = scores(load_model(settings))
    adapted = load_model(replace(settings, adapter_path=adapter_dir))
    assert adapted.provenance.is_adapter_merged
    assert adapted.provenance.adapter_digest == compute_digest(adapter_dir)
    attached = attach_adapter(load_model(settings).model, adapter_dir).eval()
    torch.testing.assert_close(scores(adapted), scores(replace(adapted, model=attached)), atol=1e-3, rtol=1e-3)
    assert (scores(adapted) - base).abs().max() > 0.1


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_an_adapter_stays_beside_quantized_weights(
    settings: ModelSettings, adapter_dir: Path, quantization: Any
) -> None:
    quantized = load_model(replace(settings, quantization=quantization))
    adapted = load_model(replace(settings, quantization=quantization, adapter_path=adapter_dir))
    assert adapted.provenance.quantization == quantization
    assert not adapted.provenance.is_adapter_merged
    assert (scores(adapted) - scores(quantized)).abs().max() > 0.1


def test_nf4_is_dequantized_where_memory_allows_and_the_adapter_merged(
    settings: ModelSettings, adapter_dir: Path
) -> None:
    kept = load_model(replace(settings, quantization="nf4", adapter_path=adapter_dir))
    plain = load_model(replace(settings, quantization="nf4", adapter_path=adapter_dir, may_dequantize=True))
    assert (plain.provenance.quantization, plain.provenance.is_adapter_merged) == ("nf4, dequantized", True)
    assert not plain.model.is_quantized
    for layer in kept.model.modules():
        # Some CPUs multiply 4 bits in bfloat16, whatever the compute dtype.
        layer.support_avx512bf16_for_cpu = False
    assert complete(plain) == complete(kept)
    unquantized = load_model(replace(settings, adapter_path=adapter_dir, may_dequantize=True))
    assert unquantized.provenance.quantization == "none"
    assert complete(unquantized) != complete(kept), "the rounding to 4 bits changes nothing: the test shows nothing"


def test_nf4_stays_where_memory_is_short(
    settings: ModelSettings, adapter_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.loading.load.free_bytes", lambda _: 100_000)
    kept = load_model(replace(settings, quantization="nf4", adapter_path=adapter_dir, may_dequantize=True))
    assert (kept.provenance.quantization, kept.provenance.is_adapter_merged) == ("nf4", False)
    assert kept.model.is_quantized


@pytest.mark.parametrize(
    ("device", "trained_on", "has_room", "chosen"),
    [
        ("cpu", None, True, "none"),
        ("cpu", "nf4", True, "none"),
        ("cuda", None, True, "nf4"),
        ("cuda", "nf4", True, "nf4"),
        ("cuda", "none", True, "none"),
        ("cuda", "none", False, "nf4"),
    ],
)
def test_the_weights_are_held_as_the_adapter_was_trained_on_them_where_there_is_room(
    device: str, trained_on: str | None, has_room: bool, chosen: str
) -> None:
    gpu_or_cpu = torch.device(device)
    assert choose_quantization("auto", gpu_or_cpu, trained_on, has_room=has_room) == chosen
    assert choose_quantization("int8", gpu_or_cpu, trained_on, has_room=has_room) == "int8"


def test_weights_are_counted_without_loading_them(settings: ModelSettings, tmp_path: Path) -> None:
    base = find_base_model(settings.base_model, tmp_path)
    assert count_weights(base) == sum(weight.numel() for weight in load_model(settings).model.parameters())


@pytest.mark.parametrize(("num_free", "has_room"), [(2**40, True), (100_000, False)])
def test_room_is_what_the_weights_leave_of_the_free_memory(
    settings: ModelSettings, monkeypatch: pytest.MonkeyPatch, num_free: int, has_room: bool
) -> None:
    monkeypatch.setattr("worker.loading.load.free_bytes", lambda _: num_free)
    monkeypatch.setattr("worker.loading.load.choose_quantization", lambda *_, has_room: "none" if has_room else "int8")
    assert load_model(settings).provenance.quantization == ("none" if has_room else "int8")


def test_nf4_for_want_of_room_is_not_silent(
    settings: ModelSettings, adapter_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worker.loading.load.choose_quantization", lambda *_, has_room: "nf4")
    load_model(replace(settings, adapter_path=adapter_dir))
    assert "was trained on unquantized weights, which don't fit into this GPU's memory" in caplog.text


def test_weights_that_were_copied_in_part_are_a_sentence(settings: ModelSettings, tmp_path: Path) -> None:
    shutil.copytree(settings.base_model, tmp_path / "tiny-llama")
    weights = tmp_path / "tiny-llama" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read: .*Copy the model again"):
        load_model(replace(settings, base_model=str(tmp_path / "tiny-llama")))


def test_an_adapter_whose_training_ran_away_is_a_sentence(settings: ModelSettings, adapter_dir: Path) -> None:
    spoil(adapter_dir)
    with pytest.raises(
        AdapterError,
        match=r"holds numbers that are not finite, in .*q_proj\.lora_A\.weight\. Train the adapter again",
    ):
        load_model(replace(settings, adapter_path=adapter_dir))


def spoil(folder: Path) -> None:
    """Make a number of an adapter not finite."""
    path = folder / WEIGHTS_FILE
    weights = load_file(path)
    next(iter(weights.values()))[0, 0] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    write_manifest(folder, replace(read_manifest(folder), digest=compute_digest(folder)))


def test_an_adapter_for_another_base_is_refused(settings: ModelSettings, adapter_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "other-llama"
    shutil.copytree(settings.base_model, other)
    with pytest.raises(AdapterError, match="trained for tiny-llama; the base model here is other-llama"):
        load_model(replace(settings, base_model=str(other), adapter_path=adapter_dir))


def test_an_adapter_of_another_shape_is_refused(adapter_dir: Path) -> None:
    with pytest.raises(AdapterError, match=r"does not fit this model's layers: .*v_proj"):
        merge_adapter(build_tiny_model("phi").model, adapter_dir)


def test_every_known_end_of_text_ends_a_completion_and_nothing_else_is_suggested(loaded_model: LoadedModel) -> None:
    suggested = loaded_model.model.generation_config
    tokens = loaded_model.tokenizer.convert_ids_to_tokens(suggested.eos_token_id)
    assert tokens == ["<|im_end|>", "<|endoftext|>"]
    assert suggested.temperature is None
    assert suggested.repetition_penalty is None


def test_the_packaged_model_keeps_its_identity_when_its_folder_is_copied(
    packaged_model_dir: Path, model_cache_dir: Path, tmp_path: Path
) -> None:
    packaged = find_base_model(PACKAGED_MODEL, model_cache_dir)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in packaged_model_dir.iterdir():
        (copy / path.name).symlink_to(path)
    copied = find_base_model(str(copy), model_cache_dir)
    assert (copied.name, copied.digest) == (packaged.name, packaged.digest) == (PACKAGED_MODEL, "b179c9523d0e6a0f")


def test_a_converted_model_is_never_found_half_written(packaged_model_dir: Path) -> None:
    names = {path.name for path in packaged_model_dir.iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors", ORIGIN_FILE} <= names
    assert not packaged_model_dir.with_name(packaged_model_dir.name + ".partial").exists()


def test_a_file_that_is_no_gguf_is_refused_and_leaves_no_model_behind(settings: ModelSettings, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    for _ in range(2):
        with pytest.raises(ModelError, match=r"broken\.gguf cannot be read as a GGUF model"):
            load_model(replace(settings, base_model=str(broken)))


def test_two_at_once_convert_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import worker.loading.gguf_cache as gguf_cache

    converted: list[Path] = []

    def convert(_path: Path, folder: Path) -> None:
        converted.append(folder)
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(gguf_cache, "_convert", convert)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(gguf_cache.convert_gguf, tmp_path / "model.gguf", "m", tmp_path) for _ in range(4)]
    assert len({call.result() for call in calls}) == 1
    assert len(converted) == 1


def test_a_hub_id_is_read_from_a_filled_cache_without_a_network(tiny_model_dir: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--someone--tiny" / "snapshots" / "abc"
    shutil.copytree(tiny_model_dir, snapshot)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    assert _find_in_cache("someone/tiny", tmp_path / "hub") == "someone/tiny"
    (snapshot / "model.safetensors").unlink()
    assert "model.safetensors is missing" in _find_in_cache("someone/tiny", tmp_path / "hub")
    assert "someone/else is not in the Hugging Face cache and cannot be downloaded" in _find_in_cache(
        "someone/else", tmp_path / "hub"
    )


def _find_in_cache(hub_id: str, cache: Path) -> str:
    """The name found, or the error's sentence, from a process that starts with this Hugging Face cache."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom aftercall.errors import ModelError\n"
        "from worker.loading.base_model import find_base_model\n"
        "try:\n    print(find_base_model(sys.argv[1], Path('unused')).name)\n"
        "except ModelError as error:\n    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", script, hub_id], env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_a_model_whose_files_lack_a_weight_is_refused(settings: ModelSettings, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "holes"
    shutil.copytree(settings.base_model, folder)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 weights, model\.layers\.1\.self_attn\.q_proj"):
        load_model(replace(settings, base_model=str(folder)))


def test_weights_that_can_run_code_are_refused(settings: ModelSettings, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(settings.base_model, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"\.bin files, which can run code"):
        load_model(replace(settings, base_model=str(folder)))


def test_an_unknown_architecture_is_refused(settings: ModelSettings, tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    shutil.copytree(settings.base_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "strange", "architectures": ["S"]}))
    with pytest.raises(ModelError, match=r"of strange in .* cannot be loaded"):
        load_model(replace(settings, base_model=str(folder)))


@pytest.mark.parametrize("name", ["no/such/folder", "nothing.gguf", "a/b.gguf", "plain"])
def test_what_names_no_model_is_refused_with_the_kinds_there_are(settings: ModelSettings, name: str) -> None:
    with pytest.raises(ModelError, match=rf"no base model at {name}\. Give a local folder, a \.gguf file"):
        load_model(replace(settings, base_model=name))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that is asked for")
def test_a_gpu_asked_for_where_there_is_none_is_an_error(settings: ModelSettings) -> None:
    with pytest.raises(ModelError, match=r"A GPU is asked for, but .* set the device to auto or cpu"):
        load_model(replace(settings, device="cuda"))


def test_loading_prints_nothing(settings: ModelSettings, capfd: pytest.CaptureFixture[str]) -> None:
    load_model(settings)
    assert capfd.readouterr() == ("", "")
