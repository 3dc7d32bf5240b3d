"""Adapters made elsewhere come in as candidates, and ours go out for peft and the hub."""

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from aftercall.errors import AdapterError
from tests.fixtures.adapters import make_candidate
from tests.fixtures.model import build_tiny_model
from training import adapters_cli
from worker.adapters.manifest import read_manifest
from worker.loading.load import ModelSettings, load_model

TOKENS = torch.arange(40)[None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation of the test's own, in whose parent two tiny base models lie."""
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    for family in ("phi", "llama"):
        tiny = build_tiny_model(family)
        tiny.model.save_pretrained(tmp_path / f"tiny-{family}")
        tiny.tokenizer.save_pretrained(tmp_path / f"tiny-{family}")
    return tmp_path / "home"


def run(*args: object) -> Result:
    return CliRunner().invoke(adapters_cli.adapters, [str(arg) for arg in args], catch_exceptions=False)


def import_one(source: Path, base: Path) -> Path:
    """The folder of the imported adapter."""
    result = run("import", source, "--base", base)
    found = re.search(r"candidate: \w{16} in (\S+), LoRA on", result.output)
    assert found, result.output
    return Path(found[1])


def serve(base: Path, adapter: Path, data: Path) -> torch.Tensor:
    """The logits of base and adapter as a worker loads them."""
    loaded = load_model(ModelSettings(str(base), "none", "float32", adapter, "cpu", data))
    with torch.no_grad():
        logits: torch.Tensor = loaded.model(TOKENS).logits
    return logits


def save_peft(base: Path, out: Path, **changes: Any) -> torch.Tensor:
    """An ordinary LoRA with random weights, as peft saves it; returns its logits."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, **changes}
    torch.manual_seed(1)
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **config)).eval()
        adapted.save_pretrained(out)
        logits: torch.Tensor = adapted(TOKENS).logits
    return logits


def test_an_ordinary_peft_adapter_is_imported_and_served_with_the_same_logits(tmp_path: Path, home: Path) -> None:
    base = tmp_path / "tiny-llama"
    expected = save_peft(base, tmp_path / "theirs")
    folder = import_one(tmp_path / "theirs", base)
    manifest = read_manifest(folder)
    assert (manifest.base_model, manifest.recipe, manifest.quantization) == ("tiny-llama", "imported", "none")
    torch.testing.assert_close(serve(base, folder, home), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(expected, AutoModelForCausalLM.from_pretrained(base)(TOKENS).logits, atol=1e-2)
    with pytest.raises(AdapterError, match="has not been judged"):
        run("promote", folder.name)


@pytest.mark.parametrize(("stem", "first"), [("transformer.h", 0), ("layers", 1)])
def test_phis_old_names_are_converted_without_loss(stem: str, first: int, tmp_path: Path, home: Path) -> None:
    base, theirs = tmp_path / "tiny-phi", tmp_path / "theirs"
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(2)
    weights = {}
    for number, layer in enumerate(model.model.layers):
        attention = layer.self_attn
        for name, linears in (
            ("Wqkv", [attention.q_proj, attention.k_proj, attention.v_proj]),
            ("out_proj", [attention.dense]),
        ):
            size = sum(linear.out_features for linear in linears)
            down, up = torch.randn(4, linears[0].in_features) * 0.1, torch.randn(size, 4) * 0.1
            path = f"base_model.model.{stem}.{number + first}.mixer.{name}"
            weights |= {f"{path}.lora_A.weight": down, f"{path}.lora_B.weight": up}
            # What the fused matrix would be, row block by row block.
            fused = torch.cat([linear.weight.data for linear in linears]) + 2.0 * up @ down
            for linear, rows in zip(linears, fused.chunk(len(linears)), strict=True):
                linear.weight.data = rows.clone()
    theirs.mkdir()
    save_file(weights, theirs / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "bias": "none"}
    config |= {"target_modules": ["Wqkv", "out_proj"]}
    (theirs / "adapter_config.json").write_text(json.dumps(config))

    folder = import_one(theirs, base)
    names = json.loads((folder / "adapter_config.json").read_text())["target_modules"]
    assert names == ["dense", "k_proj", "q_proj", "v_proj"]
    with torch.no_grad():
        expected = model.eval()(TOKENS).logits
    torch.testing.assert_close(serve(base, folder, home), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "base", "said"),
    [
        ({"use_dora": True}, "tiny-llama", "is not plain LoRA: use_dora=True"),
        ({"modules_to_save": ["lm_head"]}, "tiny-llama", r"is not plain LoRA: modules_to_save=\['lm_head'\]"),
        ({"rank_pattern": {"q_proj": 2}}, "tiny-llama", r"is not plain LoRA: rank_pattern="),
        (
            {"target_modules": ["o_proj"]},
            "tiny-phi",
            r"does not fit tiny-phi, which has no layer model\.layers\.0\.self",
        ),
        ({"target_modules": ["k_proj"]}, "tiny-phi", r"does not fit tiny-phi: .*k_proj is 64 x 64 there, and 32 x 64"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(
    changes: dict[str, Any], base: str, said: str, tmp_path: Path, home: Path
) -> None:
    save_peft(tmp_path / "tiny-llama", tmp_path / "theirs", **changes)
    with pytest.raises(AdapterError, match=said):
        run("import", tmp_path / "theirs", "--base", tmp_path / base)
    assert not (home / "adapters").exists()


def test_another_prompt_and_an_incomplete_folder_are_refused(tmp_path: Path) -> None:
    base = tmp_path / "tiny-llama"
    with pytest.raises(AdapterError, match=r"tiny-llama has no adapter_config\.json; a peft adapter has"):
        run("import", base, "--base", base)
    with pytest.raises(AdapterError, match="prompt version 0 is not this version's"):
        run("import", base, "--base", base, "--prompt-version", "0")
    with pytest.raises(AdapterError, match="nothing is neither a folder nor a hub id"):
        run("import", "nothing", "--base", base)


def test_an_exported_adapter_is_plain_peft_with_a_model_card(tmp_path: Path, home: Path) -> None:
    base = tmp_path / "tiny-llama"
    expected = save_peft(base, tmp_path / "theirs")
    folder = import_one(tmp_path / "theirs", base)
    out = tmp_path / "exported"
    assert run("export", folder.name, "--out", out).output == f"{folder.name} written to {out}\n"
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(out)).eval()
        torch.testing.assert_close(loaded(TOKENS).logits, expected, atol=1e-4, rtol=1e-4)
    _, front_matter, card = (out / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front_matter) == {
        "base_model": "tiny-llama",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "summarization", "customer-support", "aftercall"],
    }
    assert card.strip().startswith(f"# Adapter {folder.name}")
    with pytest.raises(AdapterError, match="exported exists; name a new folder"):
        run("export", folder.name, "--out", out)


def test_judgements_are_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = make_candidate(tmp_path, 1, "Customer waits.")
    run("export", digest, "--out", tmp_path / "exported")
    written = {path.name for path in (tmp_path / "exported").iterdir()}
    assert written == {"README.md", "adapter_config.json", "adapter_model.safetensors", "manifest.json"}
