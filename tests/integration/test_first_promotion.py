"""The first promotion for a base model without a shipped adapter is compared with the base model alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from aftercall.errors import AdapterError
from tests.fixtures.adapters import BASE, install, judge_always, make_candidate, run
from training.context import open_context
from training.judge.judgement import BASE_EVALUATION_FILE, save_judgement


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of the test's own; its folder of adapters."""
    return install(tmp_path, monkeypatch)


def test_an_adapter_worse_than_the_base_model_stays_a_candidate_unless_forced(tmp_path: Path, home: Path) -> None:
    worse = make_candidate(tmp_path, 1, "Nothing of the kind.")
    save_judgement(home / worse / BASE_EVALUATION_FILE, judge_always(BASE, "Customer waits."), {})
    with pytest.raises(
        AdapterError, match=r"stays a candidate: .*its ROUGE is lower than that of the base model: diff"
    ):
        run("promote", worse)
    assert "No adapter has been promoted yet" in run("history").output
    assert f"active: {worse}, in place of the base model (forced" in run("promote", "--force", worse).output
    assert run("history").output.splitlines()[1].split()[-1] == "forced"


def test_an_adapter_better_than_the_base_model_is_promoted_with_its_figures(tmp_path: Path, home: Path) -> None:
    better = make_candidate(tmp_path, 1, "Customer waits.")
    save_judgement(home / better / BASE_EVALUATION_FILE, judge_always(BASE, "Customer."), {})
    assert "rouge_average: +" in run("promote", better).output
    assert "ROUGE +" in run("history").output


def test_a_base_model_judged_on_other_conversations_is_refused(tmp_path: Path, home: Path) -> None:
    digest = make_candidate(tmp_path, 1, "Customer waits.")
    with open_context() as opened:
        opened.judgements.keep_base(home / digest, replace(judge_always(BASE, "Customer."), data_digest="other"))
    with pytest.raises(AdapterError, match=f"Run `aftercall evaluate {digest} --with-base` to judge both"):
        run("promote", digest)


def test_without_a_judgement_of_the_base_model_the_gate_refuses(tmp_path: Path, home: Path) -> None:
    digest = make_candidate(tmp_path, 1, "Customer waits.")
    (home / digest / BASE_EVALUATION_FILE).unlink()
    with pytest.raises(AdapterError, match=f"not been judged. Run `aftercall evaluate {digest} --with-base` first"):
        run("promote", digest)
    assert f"active: {digest}" in run("promote", "--force", digest).output
