"""A Dagster asset for a night's work. Put this file and night_job.py into a code location.

defs = Definitions(assets=[summaries_asset("summaries", "/data/in/night.csv", "/data/out/night.summaries.csv")])
"""

from collections.abc import Mapping

from dagster import AssetsDefinition, MaterializeResult, asset
from night_job import NightJob


def summaries_asset(
    name: str, source: str, out: str, timeout: str = "6h", settings: Mapping[str, str] | None = None
) -> AssetsDefinition:
    """An asset that is the file of a source's summaries, with the counts as its metadata."""

    @asset(name=name, description=f"Summaries of {source}")
    def summaries() -> MaterializeResult:
        result = NightJob(source, out, timeout, settings=settings or {}).run()
        counts = {f"aftercall/{state}": number for state, number in result["counts"].items()}
        return MaterializeResult(metadata={"path": out, "aftercall/submission": result["submission"], **counts})

    return summaries
