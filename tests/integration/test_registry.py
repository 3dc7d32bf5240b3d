"""The registry on both databases: states, promotion as one step, rollback."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from aftercall.database import reading
from aftercall.errors import AdapterError
from aftercall.models import Adapter
from training.registry import history, registry
from training.registry.history import Action
from training.registry.publish import Origin, publish
from training.registry.registry import AdapterState, Trial


def make_adapter(parent: Path, rank: int, base: str = "tiny") -> Path:
    saved = parent / f"saved-{rank}"
    saved.mkdir()
    (saved / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (saved / "adapter_model.safetensors").write_bytes(b"weights")
    origin = Origin(base_model=base, base_digest=None, quantization="none", recipe="r", data_digest="d", metrics={})
    return publish(saved, parent / "adapters", origin)


@pytest.fixture
def three(database: Engine, tmp_path: Path) -> list[str]:
    """Three candidates."""
    return [registry.register(database, make_adapter(tmp_path, rank)).digest for rank in (1, 2, 3)]


def states(database: Engine) -> dict[str, AdapterState]:
    return {entry.digest: entry.state for entry in registry.entries(database)}


def promote(database: Engine, digest: str) -> None:
    """In place of whatever is active."""
    incumbent = registry.active(database, "tiny")
    registry.promote(database, digest, Trial(incumbent.digest if incumbent else None))


def changes(database: Engine) -> list[tuple[Action, str | None, str | None]]:
    with reading(database) as connection:
        entries = history.read(connection, "tiny")
    return [(entry.change.action, entry.change.adapter_digest, entry.change.replaced_digest) for entry in entries]


def test_a_promotion_retires_the_one_before(database: Engine, three: list[str]) -> None:
    first, second, third = three
    promote(database, first)
    promote(database, second)
    assert states(database) == {
        first: AdapterState.RETIRED, second: AdapterState.ACTIVE, third: AdapterState.CANDIDATE
    }  # fmt: skip
    active = registry.active(database, "tiny")
    assert active and active.digest == second


def test_rolling_back_goes_back_step_by_step(database: Engine, three: list[str]) -> None:
    for digest in three:
        promote(database, digest)
    steps = [registry.rollback(database, "tiny") for _ in three]
    assert [(left.digest, back.digest if back else None) for left, back in steps] == [
        (three[2], three[1]), (three[1], three[0]), (three[0], None)
    ]  # fmt: skip
    with pytest.raises(AdapterError, match="nothing to roll back"):
        registry.rollback(database, "tiny")
    assert changes(database)[3:] == [
        (Action.ROLLBACK, three[1], three[2]), (Action.ROLLBACK, three[0], three[1]), (Action.ROLLBACK, None, three[0])
    ]  # fmt: skip


def test_a_rollback_brings_back_what_was_replaced_not_what_was_undone(database: Engine, three: list[str]) -> None:
    first, second, third = three
    promote(database, first)
    promote(database, second)
    registry.rollback(database, "tiny")
    promote(database, third)
    left, back = registry.rollback(database, "tiny")
    assert (left.digest, back and back.digest) == (third, first)
    assert registry.rollback(database, "tiny")[1] is None


def test_each_change_stands_in_the_history_and_a_refused_one_does_not(database: Engine, three: list[str]) -> None:
    first, second, third = three
    promote(database, first)
    with pytest.raises(AdapterError, match="changed meanwhile by another command"):
        registry.promote(database, second, Trial(third))
    registry.promote(database, second, Trial(first, is_forced=True, report='{"differences": {}}'))
    assert changes(database) == [(Action.PROMOTE, first, None), (Action.PROMOTE, second, first)]
    with reading(database) as connection:
        last = history.read(connection)[-1].change
    assert (last.is_forced, last.report) == (True, '{"differences": {}}')


def test_an_adapter_that_cannot_be_brought_back_leaves_the_active_one(database: Engine, three: list[str]) -> None:
    first, second, _ = three
    promote(database, first)
    promote(database, second)
    (registry.find(database, first).path / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors is missing"):
        registry.rollback(database, "tiny")
    assert states(database)[second] is AdapterState.ACTIVE
    assert len(changes(database)) == 2


def test_the_database_itself_refuses_a_second_active_adapter(database: Engine, three: list[str]) -> None:
    promote(database, three[0])
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(Adapter.__table__.update().values(state=AdapterState.ACTIVE))
    assert states(database)[three[0]] is AdapterState.ACTIVE


def test_a_folder_that_changed_is_not_promoted(database: Engine, three: list[str]) -> None:
    promote(database, three[0])
    (registry.find(database, three[1]).path / "adapter_model.safetensors").write_bytes(b"other")
    with pytest.raises(AdapterError, match="were changed after publishing"):
        promote(database, three[1])
    assert states(database)[three[0]] is AdapterState.ACTIVE


def test_digests_may_be_shortened_while_they_name_one(database: Engine, three: list[str]) -> None:
    assert registry.find(database, three[0][:8]).digest == three[0]
    with pytest.raises(AdapterError, match="`aftercall adapters list` shows all"):
        registry.find(database, "no-such")
    with pytest.raises(AdapterError, match="give more digits"):
        registry.find(database, "")


def test_registering_twice_changes_nothing(database: Engine, three: list[str]) -> None:
    promote(database, three[0])
    registry.register(database, registry.find(database, three[0]).path)
    assert states(database)[three[0]] is AdapterState.ACTIVE
