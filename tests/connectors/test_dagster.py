"""The Dagster asset in Dagster's own process. Runs where the extra `connectors` is installed."""

from pathlib import Path

import pytest

dagster = pytest.importorskip("dagster")


def test_the_asset_has_the_counts_as_its_metadata(calls: Path, tmp_path: Path) -> None:
    from dagster_aftercall import summaries_asset

    out = tmp_path / "out.csv"
    result = dagster.materialize([summaries_asset("summaries", str(tmp_path / "night.csv"), str(out))])
    assert result.success
    [event] = result.asset_materializations_for_node("summaries")
    assert (event.metadata["aftercall/done"].value, event.metadata["path"].value) == (3, str(out))
    assert [line.split()[0] for line in calls.read_text().splitlines()] == ["submit", "wait", "export"]
    assert out.exists()


def test_a_source_that_cannot_be_read_fails_the_asset(calls: Path, tmp_path: Path) -> None:
    from dagster_aftercall import summaries_asset

    asset = summaries_asset("summaries", str(tmp_path / "missing.csv"), str(tmp_path / "out.csv"))
    assert not dagster.materialize([asset], raise_on_error=False).success
