"""The deployment keeps its promises: a durable queue, no open ports, no default passwords, settings that exist."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

from aftercall.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
ENV_EXAMPLE = ROOT / ".env.example"

COMPOSE_TEXT = COMPOSE.read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_TEXT)["services"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = set(find_packages(str(ROOT), include=PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]))
TOPS = {name.partition(".")[0] for name in PACKAGES}


def _seconds(duration: str) -> int:
    """`1m30s` in seconds."""
    units = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+)([hms])", duration)
    assert "".join(number + unit for number, unit in parts) == duration, duration
    return sum(int(number) * units[unit] for number, unit in parts)


def test_redis_keeps_the_queue_through_a_crash_and_through_full_memory() -> None:
    command = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "redis:/data" in SERVICES["redis"]["volumes"]


def test_data_outlives_the_containers() -> None:
    volumes = yaml.safe_load(COMPOSE_TEXT)["volumes"]
    for name in ("redis", "postgres", "worker"):
        mounted = [str(volume).partition(":")[0] for volume in SERVICES[name]["volumes"]]
        assert name in mounted
        assert name in volumes


def test_no_port_is_open_to_the_network() -> None:
    for name, service in SERVICES.items():
        assert service.get("network_mode") != "host", name
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), f"{name} publishes {port} to the network"


def test_the_passwords_of_the_servers_have_no_default() -> None:
    for name, variable in (
        ("redis", "REDIS_PASSWORD"),
        ("postgres", "POSTGRES_PASSWORD"),
        ("flower", "FLOWER_PASSWORD"),
    ):
        assert f"${{{variable}:?" in yaml.safe_dump(SERVICES[name], width=1000)
        assert f"{variable}=\n" in ENV_EXAMPLE.read_text()
    assert not re.search(r"\$\{\w*PASSWORD:?-", COMPOSE_TEXT)


def test_no_password_is_on_a_command_line() -> None:
    for name, service in SERVICES.items():
        for word in service.get("command", []):
            # What follows << is read by the server from its standard input.
            assert "PASSWORD" not in word and "_AUTH" not in word.partition("<<")[0], f"{name}: {word}"


def test_the_servers_are_on_a_network_without_a_way_out() -> None:
    networks = yaml.safe_load(COMPOSE_TEXT)["networks"]
    assert networks["back"]["internal"] is True
    on_front = {name for name, service in SERVICES.items() if "front" in service["networks"]}
    assert on_front == {"worker", "flower"}
    assert all("back" in service["networks"] for service in SERVICES.values())


def test_the_hub_token_reaches_workers_alone() -> None:
    for name in ("migrate", "producer"):
        assert SERVICES[name]["environment"]["HF_TOKEN"] == ""
    assert SERVICES["worker"]["environment"]["HF_TOKEN"] == "${HF_TOKEN:-}"
    assert not any("HF_TOKEN" in str(SERVICES[name]) for name in ("redis", "postgres", "flower"))


def test_flower_has_a_password_of_its_own() -> None:
    assert "REDIS_PASSWORD" not in SERVICES["flower"]["environment"]["FLOWER_BASIC_AUTH"]


def test_a_worker_has_a_health_check_that_can_be_run() -> None:
    [kind, python, *arguments] = SERVICES["worker"]["healthcheck"]["test"]
    assert (kind, python, arguments[:2]) == ("CMD", "python", ["-P", "-m"])
    assert (ROOT / f"{arguments[2].replace('.', '/')}.py").is_file()


def test_a_second_gpu_machine_can_name_the_servers_of_the_first() -> None:
    for name in ("AFTERCALL_DATABASE_URL", "AFTERCALL_REDIS_URL"):
        assert SERVICES["worker"]["environment"][name].startswith(f"${{{name}:-")


def test_a_worker_gets_the_time_to_drain() -> None:
    drain_timeout_s = Settings.model_fields["drain_timeout_s"].default
    assert _seconds(SERVICES["worker"]["stop_grace_period"]) >= drain_timeout_s + 30


def test_workers_reserve_gpus() -> None:
    (device,) = SERVICES["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert SERVICES["worker"]["command"] == ["worker", "--gpus", device["count"]]


def test_nothing_works_before_the_tables_are_there() -> None:
    assert SERVICES["migrate"]["command"] == ["db", "upgrade"]
    for name in ("worker", "producer"):
        needed = {other: how["condition"] for other, how in SERVICES[name]["depends_on"].items()}
        assert needed == {
            "migrate": "service_completed_successfully",
            "postgres": "service_healthy",
            "redis": "service_healthy",
        }


def test_every_service_that_others_wait_for_can_become_healthy() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_our_containers_run_unprivileged_on_a_read_only_image() -> None:
    assert DOCKERFILE.read_text().count("\nUSER 1000\n") == len(re.findall(r"\nENTRYPOINT ", DOCKERFILE.read_text()))
    for name in ("migrate", "worker", "producer"):
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_what_is_built_is_a_stage_of_the_dockerfile() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"producer", "worker"}
    assert targets <= stages


@pytest.mark.parametrize("path", [COMPOSE, DOCKERFILE, ENV_EXAMPLE], ids=lambda path: path.name)
def test_every_setting_named_in_the_deployment_exists(path: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", path.read_text()))
    assert named
    assert named <= {PREFIX + name.upper() for name in Settings.model_fields}


def test_the_images_get_every_package() -> None:
    """They are not installed in place: what pyproject.toml does not list is not in them."""
    files = [path for top in TOPS for path in (ROOT / top).rglob("__init__.py")]
    assert {".".join(path.parent.relative_to(ROOT).parts) for path in files} == PACKAGES


def test_the_images_get_the_adapters_that_ship() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["adapters"]
    for name in ("manifest.json", "adapter_config.json", "adapter_model.safetensors"):
        assert any(fnmatch(f"0123456789abcdef/{name}", pattern) for pattern in patterns), name


def test_the_builder_gets_what_the_package_is_made_of() -> None:
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    files = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert allowed == TOPS | files | {"pyproject.toml", "constraints.txt", "locked"}


def _installed_with(requirements: Iterable[str]) -> set[str]:
    """The distributions that pip installs for these requirements, as far as they are installed here."""
    pending = [Requirement(line) for line in requirements]
    found: set[tuple[str, str]] = set()
    while pending:
        wanted = pending.pop()
        for extra in ("", *wanted.extras):
            key = (canonicalize_name(wanted.name), extra)
            if key in found:
                continue
            found.add(key)
            lines = [Requirement(line) for line in metadata.requires(wanted.name) or ()]
            pending += [line for line in lines if line.marker is None or line.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


#: Imports what the producer's image runs, in a Python that cannot see the modules named in its argument.
_IMPORT_PRODUCER = """
import sys
hidden = set(sys.argv[1].split(","))
class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hider())
import producer.cli, producer.admin_cli, producer.doctor.examine, producer.export, producer.failures
from aftercall.broker import create_app
from aftercall.database import connect
from aftercall.settings import Settings
create_app(Settings()).connection_for_write().transport
connect("postgresql://host/name")
"""


def test_the_producer_image_has_every_library_that_it_loads() -> None:
    """Its image has the plain dependencies only; here, an extra may have brought what one of them forgot to name."""
    present = _installed_with(PROJECT["project"]["dependencies"])
    owners = metadata.packages_distributions()
    hidden = [name for name, dists in owners.items() if not present & {canonicalize_name(dist) for dist in dists}]
    hidden = [name for name in hidden if name not in TOPS]
    command = [sys.executable, "-c", _IMPORT_PRODUCER, ",".join(hidden)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-1500:]
