"""The files of deploy/: what they start are commands that there are, and they ask for no more rights than they need.

`make lint` holds them against the schemas of Kubernetes and the rules of hadolint.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from supply.lock import ROOT
from tests.cli.pipelines import parsed

from convload.cli.init import kubernetes_files, lay_out
from convload.cli.run import compact
from convload.cli.worker import _read_hosts
from convload.errors import UsageError
from convload.plan.plan import assemble, host_allowed

DEPLOY = ROOT / "deploy"


def services() -> dict[str, Any]:
    text = (DEPLOY / "compose.yaml").read_text()
    # What compose fills in from the environment where it is not set.
    filled = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    found: dict[str, Any] = yaml.safe_load(filled)["services"]
    return found


def test_the_image_is_no_root_pins_its_base_and_needs_no_shell() -> None:
    text = (DEPLOY / "Containerfile").read_text()

    assert re.search(r"^ARG BASE=python:[\w.]+-slim@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    user = re.search(r"^USER (\d+:\d+)$", text, re.MULTILINE)
    assert user
    assert f"--chown={user[1]} /data /data" in text
    assert 'ENTRYPOINT ["convload"]' in text
    assert "HEALTHCHECK" not in text
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert set(re.findall(r"LOCK=(\S+\.lock)", text)) <= {path.name for path in DEPLOY.glob("*.lock")}


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


MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
WORKLOADS: list[dict[str, Any]] = [
    found for path in MANIFESTS for found in yaml.safe_load_all(path.read_text()) if "template" in found["spec"]
]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one["metadata"]["name"])
def test_each_pod_runs_a_command_that_there_is_with_no_more_rights_than_it_needs(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    [container] = pod["containers"]

    assert parsed([str(word) for word in container["args"]]).params
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"] == container["resources"]["requests"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_jobs_are_never_started_again_and_agree_on_how_many_workers_come() -> None:
    jobs = {job["metadata"]["name"]: job["spec"] for job in WORKLOADS if job["kind"] == "Job"}
    words = jobs["coordinator"]["template"]["spec"]["containers"][0]["args"]
    workers = jobs["worker"]

    assert all(job["backoffLimit"] == 0 for job in jobs.values())
    assert all(job["template"]["spec"]["restartPolicy"] == "Never" for job in jobs.values())
    assert workers["completionMode"] == "Indexed"
    assert words[words.index("--expect-workers") + 1] == str(workers["completions"]) == str(workers["parallelism"])


def test_the_plan_of_the_cluster_is_a_plan_whose_target_workers_may_fire_at(tmp_path: Path) -> None:
    plan = assemble(DEPLOY / "kubernetes" / "plan.toml", {}, {})
    allowed = _read_hosts(str(DEPLOY / "kubernetes" / "allowed-hosts"))

    assert host_allowed(str(urlsplit(plan.target).hostname), list(allowed))
    lay_out(tmp_path / "mine", force=False, more=kubernetes_files("registry.example/convload:1.2"))
    assert assemble(tmp_path / "mine" / "kubernetes" / "plan.toml", {}, {}) == plan


def test_a_workspace_has_the_manifests_with_the_image_that_was_named(tmp_path: Path) -> None:
    lay_out(tmp_path, force=False, more=kubernetes_files("registry.example/convload:1.2"))

    written = {path.name: path.read_text() for path in (tmp_path / "kubernetes").iterdir()}
    assert written.keys() == {path.name for path in (DEPLOY / "kubernetes").iterdir()}
    images = re.findall(r"image: (\S+)", "".join(written.values()))
    assert images == ["registry.example/convload:1.2"] * len(WORKLOADS)
    with pytest.raises(UsageError, match="is no name of an image"):
        kubernetes_files("not an image")


def test_the_kustomization_names_every_file() -> None:
    named = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    files = {*named["resources"], *named["configMapGenerator"][0]["files"], "kustomization.yaml"}

    assert files == {path.name for path in (DEPLOY / "kubernetes").iterdir()}


def test_a_summary_is_one_line_where_a_log_is_all_that_is_left() -> None:
    line = compact(b'{\n "verdict": {"outcome": "pass"},\n "x": [1, 2]\n}')

    assert line == '{"verdict":{"outcome":"pass"},"x":[1,2]}'
