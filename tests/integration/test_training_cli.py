"""The `aftercall adapters` commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from tests.fixtures.adapters import BASE, make_candidate, make_folder, run
from training.context import open_context
from training.registry.registry import AdapterState, entries


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation of its own."""
    monkeypatch.setenv("AFTERCALL_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("AFTERCALL_BASE_MODEL", BASE)
    monkeypatch.setenv("COLUMNS", "200")
    yield


def test_list_promote_diff_and_roll_back(tmp_path: Path) -> None:
    fair = make_candidate(tmp_path, 1, "Customer.")
    good = make_candidate(tmp_path, 2, "Customer waits.")
    assert "in place of the base model" in run("promote", fair[:6]).output
    promoted = run("promote", good).output
    assert f"active: {good}, in place of {fair}" in promoted
    assert "n=40 held-out conversations" in promoted
    assert "rouge_average: +" in promoted
    assert "rouge_average, compared with the constant sentence: +" in promoted

    listed = run("list").output
    assert all(word in listed for word in (fair, good, "active", "retired"))
    assert "the gate would let the first one pass" in run("diff", good, fair).output
    assert "its ROUGE is lower" in run("diff", fair, good).output

    assert run("rollback", "--base", "tiny").output == f"{good} is retired; active: {fair}\n"
    with open_context() as opened:
        assert {entry.digest: entry.state for entry in entries(opened.database)} == {
            fair: AdapterState.ACTIVE,
            good: AdapterState.RETIRED,
        }
    # In a narrow terminal, what the gate found goes on in the next line.
    lines = run("history").output.splitlines()
    newest, *older = (line.split() for line in lines if line.startswith("20"))
    assert newest[2:] == ["rollback", fair, good]
    assert [line[2:4] for line in older] == [["promote", good], ["promote", fair]]
    assert "in place of the base model" not in run("promote", "--force", good).output
    assert run("history").output.splitlines()[1].split()[2:] == ["promote", good, fair, "forced"]


def test_a_tie_is_promoted_only_when_allowed(tmp_path: Path) -> None:
    first, second = (make_candidate(tmp_path, rank, "Customer waits.") for rank in (1, 2))
    run("promote", first)
    with pytest.raises(AdapterError, match=rf"{second} stays a candidate: its ROUGE is not surely higher"):
        run("promote", second)
    assert f"active: {second}" in run("promote", "--allow-tie", second).output
    assert ", n=40" in run("history").output.splitlines()[1]


def test_a_rollback_finds_the_base_model_that_the_settings_name_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "models" / "tiny"
    base.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setenv("AFTERCALL_BASE_MODEL", str(base))
    digest = make_candidate(tmp_path, 1, "Customer.")
    for chosen in ([], ["--base", str(base)], ["--base", "tiny"]):
        run("promote", "--force", digest)
        assert f"{digest} is retired" in run("rollback", *chosen).output


def test_a_published_folder_is_registered_by_hand(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, 1, "Customer.")
    registered = run("register", str(folder)).output
    assert registered.startswith(f"candidate: {folder.name} in {folder}\n")
    assert f"`aftercall adapters promote {folder.name}`" in registered
    run("promote", folder.name)
    assert run("register", str(folder)).output == f"active: {folder.name} in {folder}\n"


def test_judgements_with_different_settings_are_shown_but_refused_by_the_gate(tmp_path: Path) -> None:
    old, exact, coarse = (
        make_candidate(tmp_path, rank, "Customer waits.", written_as)
        for rank, written_as in enumerate(["", "quantization none, float32", "quantization nf4, bfloat16"])
    )
    run("promote", exact)
    said = (
        rf"{coarse} was judged as quantization nf4, bfloat16; {exact} as quantization none, float32\. Run `aftercall "
        r"evaluate` for both with the same AFTERCALL_QUANTIZATION"
    )
    with pytest.raises(AdapterError, match=said):
        run("promote", coarse)
    shown = run("diff", coarse, exact).output
    assert f"{coarse} was judged as quantization nf4, bfloat16; {exact} as quantization none, float32" in shown
    assert "was judged as" not in run("diff", old, exact).output
    # Judgements of before do not say how they were written.
    assert f"active: {old}" in run("promote", "--allow-tie", old).output


def test_an_adapter_without_a_card_says_so(tmp_path: Path) -> None:
    digest = make_candidate(tmp_path, 1, "Customer.")
    result = run("show", digest)
    assert result.exit_code == 2
    assert f"{digest} has no card" in result.output
