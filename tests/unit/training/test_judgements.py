"""Judgements of an installation: kept apart from the adapters, and found by their digests."""

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from aftercall.files import write_whole
from tests.unit.training.examples import make_example
from training.judge.judgement import EVALUATION_FILE, Judgement, judge, save_judgement
from training.judge.store import Judgements
from training.registry.publish import Origin, publish

EXAMPLES = [make_example(str(number), "Customer waits.") for number in range(3)]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A published adapter that nobody has judged."""
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    origin = Origin(base_model="tiny", base_digest=None, quantization="none", recipe="r", data_digest="d", metrics={})
    return publish(tmp_path, tmp_path / "adapters", origin)


@pytest.fixture
def judgements(tmp_path: Path) -> Judgements:
    return Judgements(tmp_path / "judgements")


def judged(name: str) -> Judgement:
    return judge(name, ["Customer waits."] * 3, EXAMPLES)


def test_what_was_judged_here_goes_before_what_came_with_the_adapter(adapter: Path, judgements: Judgements) -> None:
    save_judgement(adapter / EVALUATION_FILE, judged("elsewhere"), {})
    assert judgements.find(adapter).name == "elsewhere"
    judgements.keep(adapter, judged("here"), {})
    assert judgements.find(adapter).name == "here"
    assert judgements.find(adapter.rename(adapter.with_name("moved"))).name == "here"


def test_the_base_model_is_kept_beside_and_taken_for_nothing_else(adapter: Path, judgements: Judgements) -> None:
    judgements.keep(adapter, judged("ours"), {})
    assert judgements.find_base(adapter) is None
    judgements.keep_base(adapter, judged("base"))
    found = judgements.find_base(adapter)
    assert (judgements.find(adapter).name, found and found.name) == ("ours", "base")


def test_a_judgement_that_cannot_be_read_is_not_shown_beside(adapter: Path, judgements: Judgements) -> None:
    # Root may read whatever file there is, but not a folder as one.
    (adapter / EVALUATION_FILE).mkdir()
    with pytest.raises(OSError):
        judgements.find(adapter)
    assert judgements.find_comparable(adapter, judged("ours")) is None


def test_only_a_comparable_judgement_is_shown_beside(adapter: Path, judgements: Judgements) -> None:
    assert judgements.find_comparable(adapter, judged("ours")) is None
    judgements.keep(adapter, judged("theirs"), {})
    assert judgements.find_comparable(adapter, judged("ours")) == judged("theirs")
    assert judgements.find_comparable(adapter, replace(judged("ours"), data_digest="other")) is None
    assert judgements.find_comparable(adapter.with_name("lost"), judged("ours")) is None


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """Each replaces it whole; none finds the file that it wrote aside taken away by another."""
    num_rounds, contents = 40, (b"x" * 1_000_000, b"y" * 1_000_000)
    barrier, failures = Barrier(len(contents)), list[BaseException]()

    def write(content: bytes) -> None:
        for _ in range(num_rounds):
            barrier.wait()
            try:
                write_whole(tmp_path / "evaluation.json", content)
            except BaseException as error:
                failures.append(error)

    writers = [Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert (tmp_path / "evaluation.json").read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1
