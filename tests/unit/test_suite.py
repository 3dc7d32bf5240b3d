"""The list of tests that `make test` leaves out."""

from pathlib import Path

from tests.conftest import THOROUGH


def test_every_module_that_is_left_out_exists() -> None:
    """A module that is renamed would be quick from then on, whatever it takes."""
    modules = {path.stem for path in Path(__file__).parents[1].glob("*/test_*.py") if path.parent.name != "unit"}
    assert modules >= THOROUGH
