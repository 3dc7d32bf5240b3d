"""A submit that is stopped or killed leaves no process behind, and no copy of what was piped in where that can be."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aftercall.settings import Settings
from tests.fixtures.workers import TIMEOUT_S, wait_until, write_source

#: Takes one batch of a source that a second process reads, and no more.
TAKES_ONE_BATCH = """
import sys, time
from producer import batches
from producer.source import open_source

batches.READ_AHEAD_BYTES = batches.NUM_FIRST = 0

if __name__ == "__main__":
    with open_source(sys.argv[1]) as source:
        reading = batches.read_batches(source)
        next(reading)
        print("reading", flush=True)
        time.sleep(1_000)
"""


def test_the_process_that_reads_ahead_ends_with_a_killed_submit(tmp_path: Path) -> None:
    source = write_source(tmp_path / "night.csv", map(str, range(5_000)))
    script = tmp_path / "takes_one_batch.py"
    script.write_text(TAKES_ONE_BATCH)
    with subprocess.Popen(
        [sys.executable, str(script), str(source)], cwd=Path(), env={**os.environ, "PYTHONPATH": "."},
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        process.kill()
        # Ends when nobody is left who could write: the reader shares what the first process printed to.
        process.communicate(timeout=TIMEOUT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_stopped_submit_leaves_nothing_of_what_was_piped_in(
    number: signal.Signals, tmp_path: Path, settings: Settings
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "aftercall", "submit", "-"], text=True,
        env={**os.environ, **settings.to_environment(), "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # Whoever runs the tests may have asked for hang-ups to be ignored, which is handed down.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:  # fmt: skip
        wait_until(lambda: list(temporary.glob("aftercall-*/source")), "what is piped in written down")
        process.send_signal(number)
        _, errors = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == 130
    assert errors == "\naftercall: stopped. Run the same command again to continue.\n"
    assert list(temporary.iterdir()) == []
