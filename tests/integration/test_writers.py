"""Adapters by the summaries that they wrote, named by the first digits."""

import pytest
from sqlalchemy import Engine, insert

from aftercall.errors import AdapterError
from aftercall.ledger.adapters import find_writer
from aftercall.models import Job, Summary


@pytest.fixture
def written(database: Engine) -> Engine:
    """Summaries of two adapters and of the base model alone."""
    made = {
        "text": "Customer waits.",
        "base_model": "tiny",
        "quantization": "none",
        "compute_dtype": "float32",
        "prompt_version": "1",
        "cleaner_version": "1",
        "generation": "{}",
        "num_prompt_tokens": 1,
        "num_completion_tokens": 1,
        "finish_reason": "stop",
        "coverage": 1.0,
        "duration_s": 0.1,
        "worker": "w",
        "created_at": 0.0,
    }
    job = {"id": 1, "job_key": "1", "text": "user: hi\n", "cleaner_version": "1", "state": "done", "created_at": 0.0}
    with database.begin() as connection:
        connection.execute(insert(Job).values(job))
        for digest in ("2c0e3bd2", "2c0effff", ""):
            connection.execute(insert(Summary).values(made | {"job_id": 1, "adapter_digest": digest}))
    return database


def test_an_adapter_is_found_by_digits_that_no_other_begins_with(written: Engine) -> None:
    assert find_writer(written, "2c0e3") == "2c0e3bd2"
    assert find_writer(written, "2c0effff") == "2c0effff"
    assert find_writer(written, "") == ""


def test_digits_that_name_none_or_two_are_refused(written: Engine) -> None:
    with pytest.raises(AdapterError, match="no summary here was written by an adapter '2c1'"):
        find_writer(written, "2c1")
    with pytest.raises(AdapterError, match="give more digits"):
        find_writer(written, "2c0e")
