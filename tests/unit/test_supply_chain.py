"""What is installed and run to build aftercall is named exactly: packages by hash, actions by commit."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "locked"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

#: Each list, and the requirements that it has to cover.
LISTS = {
    "producer": PROJECT["dependencies"],
    "worker": PROJECT["dependencies"] + EXTRAS["worker"],
    "embedded": ["aftercall[embedded]"],
    "dev": ["aftercall[dev]"],
    "build": ["setuptools"],
}


def read(path: Path) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirements of a list by name, each with its hashes."""
    found = {}
    for entry in path.read_text().replace("\\\n", " ").splitlines():
        line, *hashes = re.split(r"\s+--hash=", entry.strip())
        requirement = Requirement(line)
        found[canonicalize_name(requirement.name)] = (requirement, hashes)
    return found


def pinned() -> Mapping[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("path", sorted(LOCKED.glob("*.txt")), ids=lambda path: path.stem)
def test_every_locked_package_has_one_version_and_hashes(path: Path) -> None:
    if path.stem == "excluded":
        assert path.read_text() == "torch\n"
        return
    for name, (requirement, hashes) in read(path).items():
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", name
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), name
        if path.stem in LISTS and name in pinned():
            assert specifier.version == pinned()[name], f"{name}: run `make lock`"


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_all_that_is_installed_with_its_requirements(name: str) -> None:
    locked = read(LOCKED / f"{name}.txt")
    assert _needed(LISTS[name]) - set(locked) - {"torch", "aftercall"} == set(), "run `make lock`"


def test_the_list_of_the_developers_has_every_pinned_package() -> None:
    assert set(pinned()) - set(read(LOCKED / "dev.txt")) == {"torch"}


@pytest.mark.parametrize("path", [".ci/wheel", "Dockerfile", "Makefile"])
def test_nothing_but_torch_and_our_own_wheel_is_installed_without_a_hash(path: str) -> None:
    text = re.sub(r"\\\n\s*", " ", (ROOT / path).read_text())
    installs = re.findall(r"(?:pip(?:\[@\]\}\")?|PIP\)|quiet) install\b.*", text)
    assert len(installs) >= 3
    for install in (part for line in installs for part in line.split("&&") if "install" in part):
        is_own = "--no-deps" in install and re.search(r"\.whl|--editable \.$", install.strip())
        is_torch = re.search(r"--constraint \S*constraints\.txt\"? torch(==\S+)?$", install.strip())
        assert is_own or is_torch or "--require-hashes" in install, install


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_actions_are_named_by_commit(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []


def test_ci_keeps_a_list_of_what_is_in_a_release() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    steps = jobs["sbom"]["steps"]
    assert any(step.get("run", "").startswith("make sbom") for step in steps)
    assert any(step.get("with", {}).get("path") == "sbom.cdx.json" for step in steps)


def _needed(requirements: Iterable[str]) -> set[str]:
    """The distributions that pip installs for these requirements on this machine, without torch's."""
    pending = [Requirement(line) for line in requirements]
    found: set[tuple[str, str]] = set()
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if name == "torch" or (name, extra) in found:
                continue
            found.add((name, extra))
            lines = [Requirement(line) for line in metadata.requires(name) or ()]
            pending += [line for line in lines if line.marker is None or line.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}
