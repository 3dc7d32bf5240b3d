"""Which references are trained on."""

from tests.unit.training.examples import make_example
from training.fit.reference_choice import agreement, choose_references

CLOSE = "Customer is complaining about a late order."
CLOSER = "Customer is complaining about the late order."
FAR = "The client has a problem."


def test_the_reference_that_nobody_else_wrote_is_left_out() -> None:
    example = make_example("a", FAR, CLOSE, CLOSER)
    assert choose_references([example], "agreeing")[0].references == (CLOSE, CLOSER)


def test_each_policy_keeps_what_it_says() -> None:
    example = make_example("a", FAR, CLOSE, CLOSER)
    assert choose_references([example], "first")[0].references == (FAR,)
    assert choose_references([example], "all")[0].references == (FAR, CLOSE, CLOSER)
    (closest,) = choose_references([example], "closest")[0].references
    assert closest in (CLOSE, CLOSER)


def test_a_single_reference_is_kept_whatever_the_policy() -> None:
    example = make_example("a", FAR)
    assert agreement(example.references) == [0]
    for policy in ("first", "all", "agreeing", "closest"):
        assert choose_references([example], policy)[0].references == (FAR,)
