"""What README and docs say is true of the code: commands, options, files, links, settings and exit codes."""

import csv
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import click
import pytest
import yaml
from sqlalchemy import text

from adapters import find_shipped
from aftercall import errors, schema
from aftercall.cli import COMMANDS, cli
from aftercall.database import connect, reading
from aftercall.secret_files import SECRET_FILES
from aftercall.settings import PACKAGED_MODEL, PREFIX, Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs/operations.md"
ARCHITECTURE = ROOT / "docs/architecture.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

#: Click's own, for a command line that it cannot read.
EXIT_USAGE = 2

ALTERNATIVES = "&&|[|;]"


@dataclass(frozen=True)
class Command:
    """A command line that a page shows."""

    page: str
    line: int
    #: Without the variables that are set before them.
    words: tuple[str, ...]
    #: Stands in a sentence: there, a command may be named without its arguments.
    is_prose: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {' '.join(self.words)}"


def _page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _shown_lines(page: str) -> Iterator[tuple[int, str, bool]]:
    """Number, code, and whether it is inside a sentence; lines of a block that a backslash continues are joined."""
    is_code = False
    begun, first = "", 0
    for number, line in enumerate(page.splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield from ((number, code, True) for code in re.findall(r"`([^`]+)`", line))
        else:
            first = first if begun else number
            begun += line.strip().removeprefix("$ ")
            if begun.endswith("\\"):
                begun = begun[:-1]
            else:
                yield first, begun, False
                begun = ""


def _commands(page: Path) -> Iterator[Command]:
    for number, line, is_prose in _shown_lines(page.read_text()):
        for part in re.split(ALTERNATIVES, line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # a sentence in quotation marks is no command
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield Command(_page_id(page), number, tuple(words), is_prose)


ALL_COMMANDS = [command for page in PAGES for command in _commands(page)]
COMPOSE_OURS = ("docker", "compose", "run", "--rm", "producer")


def _aftercall_arguments(command: Command) -> list[str] | None:
    """What follows `aftercall`, also where it runs in a container; None for another program."""
    words = command.words
    for start in (("aftercall",), ("python", "-m", "aftercall"), COMPOSE_OURS):
        if words[: len(start)] == start and len(words) > len(start):
            return list(words[len(start) :])
    return None


OUR_COMMANDS = [command for command in ALL_COMMANDS if _aftercall_arguments(command)]


@pytest.mark.parametrize("command", OUR_COMMANDS, ids=str)
def test_every_aftercall_command_line_is_understood(command: Command) -> None:
    arguments = _aftercall_arguments(command)
    assert arguments is not None
    # A word in capitals stands for the reader's own; a submission is a number.
    arguments = ["1" if argument == "SUBMISSION" else argument for argument in arguments]
    parsed: click.Command | None = cli
    name = "aftercall"
    while isinstance(parsed, click.Group) and arguments and not arguments[0].startswith("-"):
        name = arguments.pop(0)
        parsed = parsed.get_command(click.Context(parsed), name)
        assert parsed is not None, f"there is no command {name}"
    if not arguments and (command.is_prose or isinstance(parsed, click.Group)):
        return
    assert parsed is not None
    try:
        parsed.make_context(name, arguments)
    except click.exceptions.Exit:
        pass  # --help and --version
    except click.UsageError as error:
        pytest.fail(f"{command}: {error.format_message()}")


def test_every_command_is_shown_in_the_readme() -> None:
    shown = {(_aftercall_arguments(command) or [""])[0] for command in _commands(README)}
    shown |= set(re.findall(r"`([a-z]+)`", README.read_text()))
    assert set(COMMANDS) <= shown


def test_every_setting_named_in_the_docs_exists() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | set(SECRET_FILES)
    for page in PAGES:
        named = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", page.read_text()))
        assert named <= known, page.name


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {command.words[1] for command in ALL_COMMANDS if command.words[0] == "make" and len(command.words) > 1}
    assert {"run", "test"} <= named <= targets


def test_every_script_exists_and_knows_its_options() -> None:
    scripts = [command for command in ALL_COMMANDS if re.fullmatch(r"\S*python3?", command.words[0])]
    assert any("bench" in command.words[-1] or "bench" in command.words[1] for command in scripts)
    for command in scripts:
        words = command.words[1:]
        if words[0] == "-m":
            module = ROOT / words[1].replace(".", "/")
            path = module / "__main__.py" if module.is_dir() else module.with_name(f"{module.name}.py")
            words = words[1:]
            if words[0] in ("aftercall", "venv", "pip", "pytest"):
                continue
        else:
            path = ROOT / words[0]
        assert path.is_file(), f"{command}: no such script"
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert f'"{option}"' in _with_imports(path), f"{command}: {path.name} has no {option}"


def _with_imports(script: Path) -> str:
    """A script's text and that of the script whose options it has, too."""
    text = script.read_text()
    others = re.findall(r"^from (bench[.\w]+) import .*\boptions\b", text, re.MULTILINE)
    return text + "".join((ROOT / f"{name.replace('.', '/')}.py").read_text() for name in others)


def test_every_compose_service_and_profile_exists() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    shown = [command for command in ALL_COMMANDS if command.words[:2] == ("docker", "compose")]
    assert shown
    for command in shown:
        words = list(command.words[2:])
        while words and words[0].startswith("-"):
            option = words.pop(0)
            if option == "--profile":
                assert words.pop(0) in profiles, command
        verb, *rest = words
        names = [word for word in rest if not word.startswith("-")]
        if verb in ("run", "exec"):
            assert names[0] in services, command
        elif verb in ("up", "logs", "restart", "stop"):
            assert set(names) <= set(services), command


def _slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists(), f"{_page_id(page)}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in {_slug(heading) for heading in headings}, f"{_page_id(page)}: {target}"


def _is_path(code: str) -> bool:
    tops = {path.name for path in ROOT.iterdir()}
    return re.fullmatch(r"[\w./-]+", code) is not None and "/" in code and code.split("/")[0] in tops


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_every_file_named_exists(page: Path) -> None:
    generated = ("aftercall-data", "experiments")
    for number, code, _ in _shown_lines(page.read_text()):
        if _is_path(code) and not code.startswith(generated):
            assert (ROOT / code).exists(), f"{_page_id(page)}:{number}: {code}"


#: The packages whose folders the page lists one by one.
LISTED_PACKAGES = ("aftercall", "producer", "worker", "training", "migrations")


def _listed_in_architecture() -> set[str]:
    """The paths in the page's tree: two spaces deeper is one folder down; folders end with a slash."""
    block = re.search(r"^## The house\n+```text\n(.*?)^```", ARCHITECTURE.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None, "docs/architecture.md has no tree under its heading 'The house'"
    listed: set[str] = set()
    parents: list[str] = []
    for indent, name in re.findall(r"^( *)(\S+) ", block[1], re.MULTILINE):
        del parents[len(indent) // 2 :]
        listed.add("".join(parents) + name)
        if name.endswith("/"):
            parents.append(name)
    return listed


def _folders_of(package: Path) -> set[str]:
    """A package and the folders below it that hold files, as the page writes them."""
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    folders = {parent for file in files for parent in file.relative_to(ROOT).parents if parent.parts}
    return {f"{folder.as_posix()}/" for folder in folders}


@pytest.mark.parametrize("package", LISTED_PACKAGES)
def test_the_architecture_lists_exactly_the_folders_of_the_code(package: str) -> None:
    listed = {path for path in _listed_in_architecture() if path.startswith(f"{package}/") and path.endswith("/")}
    assert listed == _folders_of(ROOT / package)


def test_every_module_that_the_architecture_lists_exists() -> None:
    modules = {path for path in _listed_in_architecture() if path.endswith(".py")}
    assert modules
    assert {path for path in modules if not (ROOT / path).is_file()} == set()


def test_every_page_of_the_decisions_is_in_their_index() -> None:
    folder = ROOT / "docs/decisions"
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", (folder / "README.md").read_text()))
    assert linked == {page.name for page in folder.glob("*.md")} - {"README.md"}


def test_the_queries_for_monitoring_run(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'ledger.db'}")
    schema.upgrade(database)
    blocks = re.findall(r"^```sql\n(.*?)^```", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    queries = [query for block in blocks for query in block.split(";") if query.strip()]
    assert queries
    with reading(database) as connection:
        for query in queries:
            connection.execute(text(query)).all()
    database.dispose()


def _settings_table() -> str:
    rows = ["| setting | default | what it means |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if str(field.default) else "(empty)"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_the_settings_table_is_that_of_the_code() -> None:
    expected = _settings_table()
    shown = re.search(r"^\| setting \|.*?(?=\n\n)", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    assert shown is not None
    if shown[0] != expected:
        pytest.fail(f"paste this into docs/operations.md:\n\n{expected}", pytrace=False)


def _exit_codes() -> set[int]:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if hasattr(kind, "exit_code")]
    constants = [value for name, value in vars(errors).items() if name.startswith("EXIT_")]
    return {0, EXIT_USAGE, *constants, *(kind.exit_code for kind in classes)}


def test_the_exit_codes_are_those_of_the_code() -> None:
    table = re.search(r"^\| exit code \|.*?(?=\n\n)", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    assert table is not None
    shown = [int(code) for code in re.findall(r"^\| (\d+) \|", table[0], re.MULTILINE)]
    assert shown == sorted(_exit_codes())


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```text\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_conversations_in_the_readme_are_from_the_examples() -> None:
    conversations, summaries, *_ = _blocks(README)
    shown = list(csv.DictReader(StringIO(conversations)))
    with (ROOT / "examples/support.csv").open(newline="") as file:
        examples = list(csv.DictReader(file))
    assert len(shown) == 3
    assert [row for row in shown if row not in examples] == []
    assert re.findall(r"^\S+", summaries, re.MULTILINE) == [row["conversation_id"] for row in shown]


def test_the_summaries_in_the_readme_are_of_the_adapter_that_ships() -> None:
    shipped = find_shipped(PACKAGED_MODEL)
    named = re.search(r"<!--.*?adapter ([0-9a-f]{16}).*?-->", README.read_text(), re.DOTALL)
    assert shipped is not None
    assert named is not None
    if named[1] != shipped.name:
        pytest.fail("the shipped adapter changed: run the examples again and paste their summaries into README.md")


def test_the_tests_that_the_page_on_security_names_exist() -> None:
    page = (ROOT / "docs/security.md").read_text().rpartition("## Which test holds which promise")[2]
    files = {path.name: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    named = re.findall(r"`(?:[a-z/]*/)?(test_\w+\.py)?(?:::(test_\w+))?`", page)
    current, checked = "", 0
    for file, test in named:
        current = file or current
        if current:
            assert current in files, current
            assert not test or f"def {test}(" in files[current], f"{current}::{test}"
            checked += 1
    assert checked > 50
