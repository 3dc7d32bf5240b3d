"""The report of a refresh: a page that needs no other file, and JSON in which `aftercall erase` finds conversations."""

from tests.unit.training.examples import make_example
from training.data.review_import import ImportReport
from training.judge.baselines import with_baselines
from training.judge.judgement import judge
from training.registry.gate import compare_at_gate
from training.report import Curve, render, to_json
from training.scheduled import Outcome, Result

EXAMPLES = tuple(make_example(str(number), "Customer waits.", user=f"<i>{number}</i>") for number in range(40))


def make_result() -> Result:
    ours, theirs = (
        with_baselines(judge(name, [text] * len(EXAMPLES), EXAMPLES), EXAMPLES)
        for name, text in (("new", "Customer waits."), ("old", "<script>x</script>"))
    )
    return Result(
        outcome=Outcome.PROMOTED,
        reasons=("the gate let it pass",),
        key="k",
        num_train=3,
        num_held_out=40,
        sources=("ours.csv",),
        imports={"week1.csv": ImportReport(1, 2, 3, 4, ("line 7: too short",))},
        served="abc",
        gate=compare_at_gate(ours, theirs),
        ours=ours,
        theirs=theirs,
        examples=EXAMPLES,
    )


def test_the_page_has_every_part_and_escapes_what_others_wrote() -> None:
    page = render(make_result())
    assert page.startswith("<!doctype html>")
    for part in ("<li>the gate let it pass</li>", "Figures, n=40", "review week1.csv", "line 7: too short", "abc"):
        assert part in page
    assert page.count("&lt;script&gt;x&lt;/script&gt;") == 10
    assert "<script" not in page
    assert "user: &lt;i&gt;0&lt;/i&gt;" in page
    # The interval of the difference in ROUGE.
    assert "+100.00 (+100.00 to +100.00)" in page
    assert not {"http:", "https:", "src=", "href="} & set(page.replace('"', " ").split())


def test_without_a_decision_there_are_no_figures() -> None:
    result = Result(outcome=Outcome.NOT_ENOUGH_DATA, reasons=("nothing to train on",), key="k")
    page = render(result)
    assert "<li>nothing to train on</li>" in page
    assert "Figures" not in page
    assert "side by side" not in page


def test_summaries_have_the_id_by_which_they_are_erased() -> None:
    summaries = to_json(make_result())["summaries"]
    assert isinstance(summaries, list)
    assert summaries[0] == {"conversation_id": "0", "before": "<script>x</script>", "after": "Customer waits."}


def test_a_curve_goes_from_left_to_right_and_from_its_highest_loss() -> None:
    curve = Curve.draw("training", [(1, 3.0), (2, 1.5)])
    assert (curve.points, curve.num_steps, curve.last) == ("480.0,0.0 960.0,80.0", 2, 1.5)
