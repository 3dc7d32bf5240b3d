"""The examples' night job on the real command line and real servers."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from aftercall.settings import Settings
from tests.fixtures.workers import WorkerStarter, conversation_text, write_source

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = (sys.executable, "-m", "aftercall")


@pytest.fixture
def night_job() -> Iterator[ModuleType]:
    """The module, loaded from its file as a user's DAGs folder does."""
    spec = importlib.util.spec_from_file_location("night_job", EXAMPLES / "night_job.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["night_job"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["night_job"]


def test_a_night_job_writes_the_summaries_and_can_be_repeated(
    night_job: ModuleType, settings: Settings, start_worker: WorkerStarter, tmp_path: Path
) -> None:
    texts = {"poison": "Customer: POISON my order did not arrive yet\n", "empty": ""}
    ids = ["a", "b", *texts]
    source = write_source(tmp_path / "night.csv", ids, lambda each: texts.get(each, conversation_text(each)))
    start_worker()
    job = night_job.NightJob(
        str(source), str(tmp_path / "out.csv"), "2m", command=COMMAND, settings=settings.to_environment()
    )
    result = job.run()
    assert (result["submission"], result["counts"]["done"], result["counts"]["failed"]) == (1, 2, 1)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
    assert job.run() == result


def test_a_night_job_that_cannot_be_done_says_why(night_job: ModuleType, settings: Settings, tmp_path: Path) -> None:
    options = {"command": COMMAND, "settings": settings.to_environment()}
    with pytest.raises(night_job.AftercallError, match=r"missing\.csv") as raised:
        night_job.NightJob(str(tmp_path / "missing.csv"), str(tmp_path / "out.csv"), **options).run()
    assert raised.value.exit_code == 3
    source = write_source(tmp_path / "night.csv", "a")
    with pytest.raises(night_job.AftercallError) as raised:
        night_job.NightJob(str(source), str(tmp_path / "out.csv"), "1s", **options).run()
    assert raised.value.exit_code == night_job.TIME_UP
    assert not (tmp_path / "out.csv").exists()
