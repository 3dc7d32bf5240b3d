"""What the libraries below have to say while they load stays out of our output and out of the workers' logs."""

import logging

import pytest

from worker.loading.quiet import quiet_loading


@pytest.mark.parametrize("name", ["bitsandbytes.backends.cpu.ops", "bitsandbytes.autograd._functions"])
def test_bitsandbytes_says_nothing_of_optional_kernels_but_its_errors(name: str) -> None:
    logging.getLogger("bitsandbytes").setLevel(logging.NOTSET)
    with quiet_loading():
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)
        assert logging.getLogger(name).isEnabledFor(logging.ERROR)
