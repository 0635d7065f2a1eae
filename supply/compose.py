"""`python -m supply.compose FOLDER`: runs deploy/compose.yaml as it is, by Podman and as root; tells what came of it.

Needs podman, crun, netavark, aardvark-dns, buildah and mmdebstrap (packages of Debian); podman-compose comes from PyPI.
Images of others are no registry's: Prometheus is Debian's package under the name that compose.yaml gives it, and
Grafana is left out. Prints the exit code, the counts, and what Prometheus answers to each query of the dashboard.
"""

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from convload.load.processes.keys import new_key
from supply.container import IMAGE, TIMEOUT_S, Images
from supply.lock import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "convload.json"
LEFT_OUT = {"services": {"grafana": {"profiles": ["not here"]}}}
"""Its image is on no package index."""

PODMAN_COMPOSE = "podman-compose>=1.6,<2"
UNIFIED = Path("/sys/fs/cgroup/unified")
RATE_INTERVAL = "20s"
"""What Grafana puts for $__rate_interval where a scrape comes every 5 s."""

# Where a container may not ask for more than its host has, and cgroups are not ours to make.
CONTAINERS = """
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=10000:10000", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "crun"
events_logger = "file"
"""


def main() -> int:
    """Prints one JSON object; returns 1 where something is not as it should be."""
    if os.geteuid() != 0:
        sys.exit("supply.compose: needs root")
    folder = Path(sys.argv[1]).resolve()
    if sys.argv[2:] != ["inside"]:
        # crun refuses a machine that has cgroups of both versions, so here the second is out of sight.
        command = [sys.executable, "-m", "supply.compose", str(folder), "inside"]
        return subprocess.run(["unshare", "--mount", *command], check=False).returncode
    if UNIFIED.is_dir():
        subprocess.run(["umount", "--lazy", str(UNIFIED)], check=False)
    folder.mkdir(parents=True, exist_ok=True)
    make_images(folder, yaml.safe_load(COMPOSE.read_text())["services"]["prometheus"]["image"])
    compose = Compose(folder)
    try:
        compose("up", "--detach")
        began_s = time.time()
        found = compose.observe(began_s)
    finally:
        compose("down", "--volumes")
    print(json.dumps(found, indent=1))
    return 0 if is_sound(found) else 1


def make_images(folder: Path, prometheus: str) -> None:
    """Makes what compose.yaml names."""
    images = Images(folder)
    images.make_base()
    images.build(IMAGE)
    entry = ("--entrypoint", '["/usr/bin/prometheus"]')
    images.from_packages(f"docker.io/{prometheus}", ("base-files", "prometheus"), *entry)


class Compose:
    """The project of compose.yaml."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "containers.conf").write_text(CONTAINERS)
        store = {"driver": "overlay", "graphroot": str(folder / "root"), "runroot": str(folder / "runroot")}
        lines = ["[storage]", *(f"{name} = {json.dumps(value)}" for name, value in store.items())]
        (folder / "storage.conf").write_text("\n".join(lines))
        self._environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONVLOAD_WORKER_KEY": new_key(),
        }
        (folder / "left-out.yaml").write_text(yaml.safe_dump(LEFT_OUT))
        self._python = folder / "venv" / "bin" / "python"
        if not self._python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
            subprocess.run([str(self._python), "-m", "pip", "install", "--quiet", PODMAN_COMPOSE], check=True)

    def __call__(self, *arguments: str) -> None:
        """Runs a command of compose."""
        files = ("-f", str(COMPOSE), "-f", str(self._folder / "left-out.yaml"))
        self._run(str(self._python), "-m", "podman_compose", "--in-pod", "false", *files, *arguments)

    def observe(self, began_s: float) -> dict[str, Any]:
        """Waits for the end of the run; returns what it left in the volume, and in Prometheus."""
        code = int(self._podman("wait", "convload_coordinator_1"))
        volume = Path(self._podman("volume", "inspect", "convload_results", "--format", "{{.Mountpoint}}"))
        if not (volume / "run" / "summary.json").exists():
            names = ("coordinator_1", "worker_1", "worker_2", "mock_1")
            raise SystemExit("\n".join(self._podman("logs", f"convload_{name}") for name in names))
        summary = json.loads((volume / "run" / "summary.json").read_text())
        token = self._podman("logs", "convload_mock_1").split("X-Mock-Token: ")[1].split()[0]
        stats = read(f"http://{self._address('mock')}:8080/__mock__/stats", {"X-Mock-Token": token})
        prometheus = f"http://{self._address('prometheus')}:9090"
        return {
            "exit_code": code,
            "worker_codes": [int(self._podman("wait", f"convload_worker_{number}")) for number in (1, 2)],
            "verdict": summary["verdict"],
            "counts": summary["counts"] | {"received": stats["create"]["received"]},
            "written": sorted(path.name for path in (volume / "run").glob("*")),
            "series": {query: ask(prometheus, query, began_s) for query in queries()},
        }

    def _address(self, service: str) -> str:
        network = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self._podman("inspect", f"convload_{service}_1", "--format", network)

    def _podman(self, *arguments: str) -> str:
        return self._run("podman", *arguments)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout.strip()


def queries() -> list[str]:
    """Returns what the dashboard asks."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def ask(prometheus: str, query: str, since_s: float) -> dict[str, int]:
    """Returns how many series and points Prometheus has for a query since then."""
    times = {"start": f"{since_s:.0f}", "end": f"{time.time():.0f}", "step": "5"}
    asked = urllib.parse.urlencode({"query": query.replace("$__rate_interval", RATE_INTERVAL), **times})
    series = read(f"{prometheus}/api/v1/query_range?{asked}", {})["data"]["result"]
    return {"series": len(series), "points": sum(len(one["values"]) for one in series)}


def read(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Returns the JSON of an address."""
    asked = urllib.request.Request(url, headers=headers)  # noqa: S310 -- of a container here
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310 -- as above
        return dict(json.load(answer))


def is_sound(found: dict[str, Any]) -> bool:
    """Whether the run came to a verdict, its counts agree, and all but failures were scraped."""
    counts = found["counts"]
    empty = {query for query, had in found["series"].items() if not had["points"] and 'outcome!="ok"' not in query}
    agree = counts["sent"] == counts["recorded"] == counts["received"] > 0
    return found["exit_code"] in {0, 3} and not any(found["worker_codes"]) and agree and not empty


if __name__ == "__main__":
    sys.exit(main())
