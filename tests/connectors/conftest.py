"""The examples on the import path, as a scheduler has its DAGs folder, and a command that answers as aftercall does."""

import stat
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

#: Answers with the objects of docs/json.md that the examples read; a source named failing has a failed conversation.
COMMAND = """#!{python}
import json, sys
from pathlib import Path
arguments = sys.argv[1:]
with Path("{calls}").open("a") as calls:
    calls.write(" ".join(arguments) + "\\n")
is_failing = "failing" in Path("{calls}").read_text()
if "missing" in Path("{calls}").read_text():
    sys.stderr.write("aftercall: missing.csv does not exist.\\n")
    sys.exit(3)
counts = {{"submitted": 3, "waiting": 0, "running": 0, "done": 3 - is_failing, "failed": int(is_failing)}}
if arguments[0] == "submit":
    print(json.dumps({{"kind": "submit", "sources": [{{"submission": 7}}]}}))
elif arguments[0] == "wait":
    print(json.dumps({{"kind": "wait", "total": counts}}))
    sys.exit(10 if is_failing else 0)
else:
    Path(arguments[arguments.index("--out") + 1]).write_text("id,state,summary\\n")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the command on the path; the file gets a line for each call."""
    path = tmp_path / "calls"
    command = tmp_path / "bin" / "aftercall"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable, calls=path))
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    return path
