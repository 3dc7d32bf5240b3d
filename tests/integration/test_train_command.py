"""Mistakes in an `aftercall train` command are reported at once in one sentence, before torch is imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.command import Answer
from tests.unit.training.learner import MAX_NEW_TOKENS, RECIPE, save_base, write_labelled
from training.data.splits import load_splits, save_trained_on
from training.registry.publish import Origin, publish

LABELLED = "labelled.csv"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--epochs", "0"),
        ("--max-steps", "-3"),
        ("--learning-rate", "-1"),
        ("--learning-rate", "0"),
        ("--rank", "0"),
        ("--batch-size", "0"),
        ("--patience", "-1"),
        ("--seed", "-1"),
        ("--seed", str(2**32)),
    ],
)
def test_values_out_of_range_are_refused(aftercall: Callable[..., Answer], option: str, value: str) -> None:
    answer = aftercall("train", "--data", LABELLED, option, value)
    assert (answer.exit_code, f"'{option}'" in answer.errors, "is not in the range" in answer.errors) == (2, True, True)


@pytest.mark.parametrize(
    ("args", "exit_code", "said"),
    [
        (
            ["--recipe", "foo"],
            5,
            "no recipe 'foo'; there are: phi-1_5-tweetsumm, smollm2-135m-service, smollm2-",
        ),
        (["--data", "nix"], 3, "nix: neither a file nor a folder with"),
        (["--resume", "nix"], 8, "experiments/runs/nix has no checkpoint to resume from; train without --resume"),
        (["--gpus", "2"], 9, "--gpus 2 needs 2 GPUs, but none is visible: check `nvidia-smi`"),
    ],
)
def test_mistakes_are_reported_before_torch_is_imported(
    tmp_path: Path, args: list[str], exit_code: int, said: str
) -> None:
    write_labelled(tmp_path / LABELLED)
    script = (
        "import sys\n"
        "from aftercall.cli import main\n"
        "try:\n    main(['train', '--data', 'labelled.csv', *sys.argv[1:]])\n"
        "finally:\n    print(sorted({'torch', 'transformers', 'datasets'} & sys.modules.keys()))\n"
    )
    done = run_python(script, *args, folder=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert (done.returncode, done.stdout) == (exit_code, "[]\n")
    assert f"aftercall: {said}" in done.stderr


@pytest.mark.parametrize(
    ("missing", "args"),
    [
        ("datasets", ["--data", "Salesforce/dialogstudio"]),
        ("trl", ["--data", LABELLED]),
    ],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, missing: str, args: list[str]
) -> None:
    write_labelled(tmp_path / LABELLED)
    script = (
        "import sys\nsys.modules[sys.argv[1]] = None\nfrom aftercall.cli import main\nmain(['train', *sys.argv[2:]])\n"
    )
    done = run_python(script, missing, *args, folder=tmp_path)
    said = f"aftercall: this needs {missing}, which is not installed. Run: pip install 'aftercall[training]'"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, said)


def test_a_missing_module_of_our_own_is_a_traceback_not_advice(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules['training.fit.recipe'] = None\n"
        "from aftercall.cli import main\n"
        "main(['train', '--data', 'x'])\n"
    )
    assert "ModuleNotFoundError: import of training.fit.recipe" in run_python(script, folder=tmp_path).stderr


def test_without_the_hub_the_message_asks_for_files(tmp_path: Path) -> None:
    args = ["-m", "aftercall", "train", "--data", "Salesforce/dialogstudio"]
    done = run([*args], tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "empty"))
    assert done.returncode == 3
    assert "aftercall: Salesforce/dialogstudio cannot be read: Couldn't reach" in done.stderr
    assert "Give --data a folder of its rows as train.jsonl and validation.jsonl (and test.jsonl);" in done.stderr


def test_an_unreachable_hub_is_reported_with_the_command_that_pushes_later(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from aftercall.errors import AdapterError\n"
        "from training.registry.hub import push\n"
        "try:\n    push(Path(sys.argv[1]), 'me/adapter')\n"
        "except AdapterError as error:\n    print(error)\n"
    )
    done = run_python(script, str(tmp_path), folder=tmp_path, HF_ENDPOINT="http://127.0.0.1:1", HF_HOME=str(tmp_path))
    assert done.stdout.startswith(f"{tmp_path} is registered, but was not pushed to me/adapter: ")
    assert f"`aftercall adapters export {tmp_path.name} --out FOLDER` and `hf upload me/adapter" in done.stdout


def test_an_adapter_is_not_evaluated_on_its_training_data(aftercall: Callable[..., Answer], tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    (saved / "adapter_config.json").write_text("{}")
    (saved / "adapter_model.safetensors").write_bytes(b"weights")
    origin = Origin(base_model="tiny", base_digest=None, quantization="none", recipe="r", data_digest="d", metrics={})
    folder = publish(saved, tmp_path / "adapters", origin)
    # Trained on all of it, by another split.
    held_out = load_splits([str(write_labelled(tmp_path / LABELLED))]).validation
    save_trained_on(folder, held_out)
    answer = aftercall("evaluate", str(folder), "--data", LABELLED)
    said = f"{len(held_out)} of {len(held_out)} conversations were trained on by {folder.name}: "
    assert (answer.exit_code, said in answer.errors) == (3, True)


def test_a_run_resumes_with_the_options_it_was_started_with(
    aftercall: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_base(tmp_path)
    write_labelled(tmp_path / LABELLED)
    monkeypatch.setenv("AFTERCALL_BASE_MODEL", RECIPE.base)
    monkeypatch.setenv("AFTERCALL_MAX_NEW_TOKENS", str(MAX_NEW_TOKENS))
    options = ("--base", RECIPE.base, "--data", LABELLED, "--max-steps", "2")
    trained = aftercall("train", *options, "--gradient-checkpointing")
    assert (trained.exit_code, "candidate: " in trained.output) == (0, True)
    (run_folder,) = (tmp_path / "experiments" / "runs").iterdir()
    resumed = aftercall("train", *options, "--resume", run_folder.name, "--batch-size", "3")
    assert resumed.exit_code == 8
    said = "was started with batch_size 5, not 3; is_gradient_checkpointing True, not False. Resume it with the same"
    assert said in resumed.errors


def run_python(script: str, *args: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own."""
    return run(["-c", script, *args], folder, **variables)


def run(args: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in an empty folder, with variables of its own."""
    environment = {**os.environ, "AFTERCALL_DATA_DIR": str(folder / "data"), **variables}
    return subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
