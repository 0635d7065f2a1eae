"""The files of deploy/: what they start are commands that there are, and they ask for no more rights than they need."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from supply.lock import ROOT

from convload.cli import convload

DEPLOY = ROOT / "deploy"
LINTERS = [ROOT / ".venv" / "lint" / "bin" / "hadolint", Path(shutil.which("hadolint") or "nowhere")]


def parsed(arguments: list[str]) -> click.Context:
    """Has click read a command line, and runs nothing."""
    command = convload.get_command(click.Context(convload), arguments[0])
    assert command is not None, arguments
    return command.make_context(arguments[0], arguments[1:])


def services() -> dict[str, Any]:
    text = (DEPLOY / "compose.yaml").read_text()
    # What compose fills in from the environment where it is not set.
    filled = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    found: dict[str, Any] = yaml.safe_load(filled)["services"]
    return found


def test_the_image_is_no_root_pins_its_base_and_needs_no_shell() -> None:
    text = (DEPLOY / "Containerfile").read_text()

    assert re.search(r"^ARG BASE=docker\.io/library/python:[\w.]+-slim@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.search(r"^USER \d+:\d+$", text, re.MULTILINE)
    assert 'ENTRYPOINT ["convload"]' in text
    assert "HEALTHCHECK" not in text
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert set(re.findall(r"LOCK=(\S+\.lock)", text)) <= {path.name for path in DEPLOY.glob("*.lock")}


@pytest.mark.skipif(not any(one.exists() for one in LINTERS), reason="hadolint comes with make lint")
def test_the_container_file_has_no_mistakes_of_its_linter() -> None:
    linter = next(str(one) for one in LINTERS if one.exists())
    done = subprocess.run(
        [linter, str(DEPLOY / "Containerfile")], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_each_service_of_ours_starts_a_command_that_there_is_and_writes_no_root() -> None:
    ours = {name: service for name, service in services().items() if service["image"].startswith("convload")}

    assert ours.keys() == {"mock", "coordinator", "worker"}
    for service in ours.values():
        assert parsed([str(word) for word in service["command"]]).params
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    expected = ours["coordinator"]["command"]
    assert expected[expected.index("--expect-workers") + 1] == str(ours["worker"]["deploy"]["replicas"])


def test_no_image_of_others_is_the_latest() -> None:
    images = [service["image"] for service in services().values()]

    assert [image for image in images if not re.search(r":(v?\d+\.\d+\.\d+|local)$", image)] == []


def test_the_files_that_services_mount_are_there() -> None:
    mounted = [one.split(":")[0] for service in services().values() for one in service.get("volumes", [])]

    assert [path for path in mounted if path.startswith(".") and not (DEPLOY / path).exists()] == []


def test_the_dashboard_asks_for_families_that_a_scrape_has() -> None:
    told = (ROOT / "docs" / "outputs.md").read_text()
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "convload.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    families = {re.sub(r"_bucket$", "", name) for name in re.findall(r"convload_\w+", asked)}

    assert len(families) >= 8
    assert [name for name in families if f"`{name}`" not in told] == []
    scraped = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())["scrape_configs"][0]["static_configs"]
    [target] = scraped[0]["targets"]
    name, _, port = target.partition(":")
    assert f"--prometheus=0.0.0.0:{port}" in services()[name]["command"]
