"""The shipped adapter by its name, as the registered ones have theirs; and what works without a worker's packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from adapters import find_shipped
from aftercall.errors import AdapterError
from aftercall.settings import PACKAGED_MODEL
from tests.fixtures.adapters import run

_folder = find_shipped(PACKAGED_MODEL)
assert _folder
SHIPPED = _folder

#: What the producer's image does not have.
WORKERS_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "accelerate",
    "bitsandbytes",
    "numpy",
    "rouge_score",
)

WITHOUT_THEM = f"""
import sys
sys.modules.update(dict.fromkeys({WORKERS_PACKAGES}))
from aftercall.cli import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation of its own, with the packaged model."""
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")


def listed() -> list[list[str]]:
    return [line.split()[:3] for line in run("list").output.splitlines()[1:]]


def test_it_is_listed_and_found_before_anything_is_registered() -> None:
    assert listed() == [[SHIPPED.name, "shipped", PACKAGED_MODEL]]
    assert run("show", SHIPPED.name[:6]).output.startswith(f"# Adapter {SHIPPED.name}")
    assert f"not surely higher than that of {SHIPPED.name}" in run("diff", SHIPPED.name, "active").output
    assert run("history").output == (
        f"No adapter has been promoted yet; workers serve {SHIPPED.name}, which ships for {PACKAGED_MODEL}.\n"
    )


def test_it_is_promoted_once_it_is_registered_and_listed_once() -> None:
    with pytest.raises(AdapterError, match=rf"`aftercall adapters register {SHIPPED}`"):
        run("promote", SHIPPED.name)
    run("register", str(SHIPPED))
    assert listed() == [[SHIPPED.name, "candidate", PACKAGED_MODEL]]
    assert f"active: {SHIPPED.name}" in run("promote", "--force", SHIPPED.name).output


def test_an_unknown_name_is_no_adapter() -> None:
    with pytest.raises(AdapterError, match="no adapter 'abc' is registered; `aftercall adapters list` shows all"):
        run("show", "abc")


def test_adapters_are_shown_compared_and_rolled_back_without_a_workers_packages() -> None:
    run("register", str(SHIPPED))
    run("promote", "--force", SHIPPED.name)
    for command, answer in (
        (["show", "active"], f"# Adapter {SHIPPED.name}"),
        (["diff", "active", SHIPPED.name], f"not surely higher than that of {SHIPPED.name}"),
        (["rollback"], f"{SHIPPED.name} is retired"),
    ):
        typed = [sys.executable, "-c", WITHOUT_THEM, "adapters", *command]
        done = subprocess.run(typed, capture_output=True, text=True, check=False, timeout=300)
        assert answer in done.stdout, done.stderr
