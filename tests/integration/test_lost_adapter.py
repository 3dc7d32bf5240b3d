"""Adapters whose folders were lost or moved, on the command line."""

import shutil
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from tests.fixtures.adapters import install, make_candidate, run


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of the test's own; its folder of adapters."""
    return install(tmp_path, monkeypatch)


def test_a_lost_active_adapter_is_replaced_only_by_force(tmp_path: Path, home: Path) -> None:
    first, lost, new = (make_candidate(tmp_path, rank, "Customer waits.") for rank in (1, 2, 3))
    for digest in (first, lost):
        run("promote", "--allow-tie", digest)
    for digest in (first, lost):
        shutil.rmtree(home / digest)
    with pytest.raises(
        AdapterError, match=rf"the folder of adapter {lost}, which is active, no longer exists: .*--force"
    ):
        run("promote", new)
    with pytest.raises(AdapterError, match=f"the folder of adapter {lost} no longer exists"):
        run("show", "active")
    with pytest.raises(
        AdapterError, match=rf"the folder of adapter {first} no longer exists: .*`aftercall adapters register"
    ):
        run("rollback")
    assert f"active: {new}, in place of {lost} (forced" in run("promote", "--force", new).output
    assert run("history").output.splitlines()[1].split()[2:] == ["promote", new, lost, "forced"]


def test_a_lost_candidate_is_reported(tmp_path: Path, home: Path) -> None:
    served, lost = (make_candidate(tmp_path, rank, "Customer waits.") for rank in (1, 2))
    run("promote", served)
    shutil.rmtree(home / lost)
    for command in (["promote", lost], ["promote", "--force", lost], ["diff", served, lost], ["show", lost]):
        with pytest.raises(AdapterError, match=f"the folder of adapter {lost} no longer exists"):
            run(*command)


def test_a_moved_folder_is_registered_at_its_new_location(tmp_path: Path, home: Path) -> None:
    digest = make_candidate(tmp_path, 1, "Customer waits.")
    run("promote", digest)
    moved = shutil.move(home / digest, tmp_path / digest)
    assert run("register", str(moved)).output == f"active: {digest} in {moved}\n"
    assert str(moved) in run("list").output


def test_a_copy_does_not_replace_a_folder_that_exists(tmp_path: Path, home: Path) -> None:
    digest = make_candidate(tmp_path, 1, "Customer waits.")
    copy = shutil.copytree(home / digest, tmp_path / digest)
    assert f"{digest} in {home / digest}\n" in run("register", str(copy)).output
