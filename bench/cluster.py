"""The Kubernetes manifests without Kubernetes: `make bench BENCH_ONLY=cluster`, or `python -m bench.cluster`, as root.

Takes the command line of each container out of deploy/kubernetes and runs it as a process in a network namespace of its
own: coordinator, mock and the workers, by the names of their services. The way of one worker is cut for some seconds in
the middle, to the coordinator and to the target.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from bench.figures import Figure, as_text
from bench.tools import ROOT as BENCH

from convload.errors import ExitCode
from convload.load.processes.keys import new_key

MANIFESTS = BENCH.parent / "deploy" / "kubernetes"
CUT_S = 5.0
CUT_AFTER_S = 15.0
POLL_S = 0.5
TIMEOUT_S = 240.0
ASK = """
import sys, urllib.request
request = urllib.request.Request("http://mock:8080/__mock__/stats", headers={"X-Mock-Token": sys.argv[1]})
print(urllib.request.urlopen(request).read().decode())
"""


def main() -> None:
    """Prints the figures."""
    print(as_text({"sections": {"cluster": [figure.told() for figure in cluster()]}}))


def cluster(_folder: Path | None = None) -> list[Figure]:
    """What is sent by four workers is recorded, and what the mock did not receive is among what failed."""
    what = f"four workers, one cut off for {CUT_S:g} s"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return [Figure(what, None, note="needs root and iproute2")]
    found = run(CUT_S)
    lost = found["sent"] - found["received"]
    return [
        Figure(f"{what}, sent", found["sent"], at_least=1, note=found["verdict"]),
        Figure("sent and not recorded", found["sent"] - found["recorded"], at_most=0),
        Figure("failed", found["failed"]),
        Figure("not received by the mock", lost, at_least=0),
        Figure("not received and not failed", max(lost - found["failed"], 0), at_most=0),
        Figure("highest exit code of a worker", max(found["worker_codes"]), at_most=0),
        Figure("exit code of the coordinator", found["exit_code"], at_most=int(ExitCode.INCONCLUSIVE)),
    ]


def run(cut_s: float) -> dict[str, Any]:
    """Runs all of it; returns the counts."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        prepare(folder)
        workers = workload("workers.yaml", "Job")["spec"]["completions"]
        names = ["coordinator", "mock", *(f"worker-{number}" for number in range(workers))]
        stack.enter_context(network(names))
        mock = start("mock", container("mock.yaml", "Deployment"), folder)
        stack.callback(mock.kill)
        coordinator = start("coordinator", container("coordinator.yaml", "Job"), folder)
        stack.callback(coordinator.kill)
        fired = [start(name, container("workers.yaml", "Job"), folder) for name in names[2:]]
        log = folder / "results" / "run" / "run.jsonl"
        cutting = threading.Thread(target=cut, args=(names[2], cut_s, log), daemon=True)
        cutting.start()
        out, _ = coordinator.communicate(timeout=TIMEOUT_S)
        if not out:
            raise SystemExit((folder / "coordinator.err").read_text())
        codes = [worker.wait(timeout=TIMEOUT_S) for worker in fired]
        summary = json.loads(out.splitlines()[-1])
        token = (folder / "mock.err").read_text().split("X-Mock-Token: ")[1].split()[0]
        received = json.loads(said_in("mock", ASK, token))["create"]["received"]
        counts = {name: summary["counts"][name] for name in ("sent", "recorded")}
        counts["failed"] = sum(summary["steps"]["conversation.create"]["errors"].values())
        ends = {"exit_code": coordinator.returncode, "worker_codes": codes, "verdict": summary["verdict"]["text"]}
        return {
            "workers": workers,
            "cut_s": 0.0 if cutting.is_alive() else cut_s,
            **counts,
            "received": received,
            **ends,
        }


def documents(file: str) -> list[dict[str, Any]]:
    """Returns the objects of a manifest."""
    return list(yaml.safe_load_all((MANIFESTS / file).read_text()))


def workload(file: str, kind: str) -> dict[str, Any]:
    """Returns the job or deployment of a manifest."""
    return next(one for one in documents(file) if one["kind"] == kind)


def container(file: str, kind: str) -> dict[str, Any]:
    """Returns the one container of a job or deployment."""
    [found] = workload(file, kind)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def prepare(folder: Path) -> None:
    """Makes what a cluster would mount: the plan and hosts of the config map, the key of the secret."""
    for name in ("plan", "secrets", "results", "tmp"):
        (folder / name).mkdir()
    [generated] = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["configMapGenerator"]
    for name in generated["files"]:
        (folder / "plan" / name).write_text((MANIFESTS / name).read_text())
    (folder / "secrets" / "worker-key").write_text(new_key())
    (folder / "secrets" / "worker-key").chmod(0o600)


def start(name: str, of: dict[str, Any], folder: Path) -> "subprocess.Popen[str]":
    """Starts a container's command as a process there; its mounts are folders of that name."""
    mounts = {mount["mountPath"]: folder / mount["name"] for mount in of["volumeMounts"]}
    words = [str(word) for word in of["args"]]
    words = [_mounted(word, mounts) for word in words]
    command = ["ip", "netns", "exec", space(name), sys.executable, "-m", "convload.cli", *words]
    where = mounts.get(of.get("workingDir", ""), folder)
    with (folder / f"{name}.err").open("w") as said:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=where)


def _mounted(word: str, mounts: dict[str, Path]) -> str:
    path = next((path for path in mounts if word.startswith(f"{path}/")), None)
    return word if path is None else str(mounts[path]) + word.removeprefix(path)


def said_in(name: str, code: str, *arguments: str) -> str:
    """Returns what a piece of Python prints in a namespace."""
    command = ["ip", "netns", "exec", space(name), sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def space(name: str) -> str:
    """Returns the name of a namespace of this process."""
    return f"cl{os.getpid()}{name}"


@contextmanager
def network(names: list[str]) -> Iterator[None]:
    """Makes a namespace for each name and one between them, in which they are joined; names resolve in each."""
    switch = space("switch")
    hosts = "".join(f"10.198.0.{number} {name}\n" for number, name in enumerate(names, 1)) + "127.0.0.1 localhost\n"
    spaces = [switch, *map(space, names)]
    try:
        for one in spaces:
            ip("netns", "add", one)
            ip("-n", one, "link", "set", "lo", "up")
        ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", switch, "link", "set", "bridge", "up")
        for number, name in enumerate(names, 1):
            join(name, number, switch)
            etc = Path("/etc/netns", space(name))
            etc.mkdir(parents=True)
            (etc / "hosts").write_text(hosts)
        yield
    finally:
        for one in spaces:
            subprocess.run(["ip", "netns", "delete", one], check=False, capture_output=True)
            (Path("/etc/netns", one) / "hosts").unlink(missing_ok=True)
            if Path("/etc/netns", one).exists():
                Path("/etc/netns", one).rmdir()


def join(name: str, number: int, switch: str) -> None:
    """Connects a namespace with the others."""
    port = f"port{number}"
    ip("link", "add", "eth0", "netns", space(name), "type", "veth", "peer", "name", port, "netns", switch)
    ip("-n", switch, "link", "set", port, "master", "bridge")
    ip("-n", switch, "link", "set", port, "up")
    ip("-n", space(name), "address", "add", f"10.198.0.{number}/24", "dev", "eth0")
    ip("-n", space(name), "link", "set", "eth0", "up")


def cut(name: str, seconds: float, log: Path) -> None:
    """Takes a namespace off the wire for a while in the load: from the coordinator and from the target."""
    pause = threading.Event()
    while not log.exists() or b'"record":"started"' not in log.read_bytes():
        pause.wait(POLL_S)
    pause.wait(CUT_AFTER_S)
    ip("-n", space(name), "link", "set", "eth0", "down")
    pause.wait(seconds)
    ip("-n", space(name), "link", "set", "eth0", "up")


def ip(*words: str) -> None:
    """Runs `ip`."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


if __name__ == "__main__":
    main()
