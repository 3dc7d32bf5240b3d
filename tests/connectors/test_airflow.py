"""The Airflow operator with Airflow's own base class. Runs where the extra `connectors` is installed."""

from pathlib import Path

import pytest

pytest.importorskip("airflow.sdk")


def test_the_operator_returns_what_became_of_the_source(calls: Path, tmp_path: Path) -> None:
    from airflow_aftercall import AftercallOperator

    out = tmp_path / "out.csv"
    task = AftercallOperator(task_id="summaries", source=str(tmp_path / "night.csv"), out=str(out), timeout="2h")
    assert task.execute({})["counts"]["done"] == 3
    submitted, waited, exported = calls.read_text().splitlines()
    assert submitted == f"submit --json {tmp_path / 'night.csv'}"
    assert waited == "wait --json 7 --timeout 2h"
    assert exported == f"export 7 --format csv --out {out}"
    assert set(task.template_fields) == {"source", "out"}


def test_failed_conversations_fail_the_task_after_the_others_are_written(calls: Path, tmp_path: Path) -> None:
    from airflow_aftercall import AftercallOperator
    from night_job import AftercallError

    out = tmp_path / "out.csv"
    task = AftercallOperator(task_id="summaries", source=str(tmp_path / "failing.csv"), out=str(out))
    with pytest.raises(AftercallError, match="1 conversations failed"):
        task.execute({})
    assert out.exists()
    may_fail = AftercallOperator(task_id="more", source=str(tmp_path / "failing.csv"), out=str(out), may_fail=True)
    assert may_fail.execute({})["counts"]["failed"] == 1


def test_a_source_that_cannot_be_read_fails_the_task(calls: Path, tmp_path: Path) -> None:
    from airflow_aftercall import AftercallOperator
    from night_job import AftercallError

    task = AftercallOperator(task_id="summaries", source="missing.csv", out=str(tmp_path / "out.csv"))
    with pytest.raises(AftercallError, match=r"missing\.csv does not exist"):
        task.execute({})
