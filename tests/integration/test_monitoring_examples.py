"""The alerting rules and the dashboard name metrics that `aftercall metrics` writes."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.command import Answer

MONITORING = Path(__file__).parents[2] / "examples/monitoring"
RULES = MONITORING / "aftercall.rules.yml"
DASHBOARD = MONITORING / "grafana-dashboard.json"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_rules_and_dashboard_name_metrics_that_exist(command: Callable[..., Answer]) -> None:
    assert command("metrics", "--textfile", "aftercall.prom").exit_code == 0
    written = {family.name for family in text_string_to_metric_families(Path("aftercall.prom").read_text())}
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    named = {name for expression in expressions for name in re.findall(r"aftercall_\w+", expression)}
    assert named - {"aftercall_"} <= written
    # Each metric is looked at somewhere.
    assert written <= named
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_accepts_the_rules() -> None:
    checked = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
