"""Runs convload beside other tools on the same work in one go, and writes bench/results.json with the ratios.

The mock has the first core and the generator the last, so that what is compared is the generator alone. Absolute
figures are this machine's; the ratios are what a claim may rest on.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convload import bundled, machine
from convload.behaviour import Behaviour
from convload.contract import paths
from convload.mock.process import MockProcess, start_mock
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue
from convload.results import runlog
from convload.results.runlog import Interval

ROOT = Path(__file__).parent
ACCOUNT = "12345678"
CONNECTIONS = 32
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CORES = sorted(os.sched_getaffinity(0))

Figures = dict[str, float]


def payload_speed() -> Figures:
    """Payloads of the default mix, one after the other, on one core."""
    builder = Builder(Catalogue.read(bundled.folder("payloads")), mix="default", account=ACCOUNT, seed=7)
    count, began_s = 200_000, time.process_time()
    for index in range(count):
        builder.build(index)
    return {"payloads_per_cpu_s": count / (time.process_time() - began_s)}


def convload(mock: MockProcess, folder: Path, *options: str) -> Figures:
    """One worker, no think time; CPU time is the worker's own, from its intervals."""
    out = folder / f"run-{time.monotonic_ns()}"
    command = [sys.executable, "-m", "convload.cli", "run", "--target", mock.url, "--users", str(CONNECTIONS)]
    command += ["--account", ACCOUNT, "--duration", f"{SECONDS}s", "--warmup", "1s", "--consumers", "none"]
    run([*command, "--seed", "7", "--out", str(out), *options])
    log = runlog.read(out)
    measured = [one for one in log.records if isinstance(one, Interval) and one.from_s >= 1 and not one.last]
    requests = sum(cell.count for one in measured for cell in one.cells if cell.phase == "measure")
    wall_s = sum(one.to_s - one.from_s for one in measured)
    cpu_s = sum(one.cpu_share * (one.to_s - one.from_s) for one in measured)
    return {"requests_per_s": requests / wall_s, "requests_per_cpu_s": requests / cpu_s}


def fast_http_user(mock: MockProcess, folder: Path) -> Figures:
    """Locust's FastHttpUser doing the same: payload built, answer checked, counted."""
    out = folder / f"fast-{time.monotonic_ns()}.json"
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(ROOT / "fasthttp_locustfile.py"),
        "--headless",
        "--only-summary",
    ]
    command += ["-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "-t", f"{SECONDS + 1}s", "-H", mock.url]
    run(command, BENCH_OUT=str(out), BENCH_WARMUP_S="1")
    found = json.loads(out.read_text())
    return {
        "requests_per_s": found["requests"] / found["wall_s"],
        "requests_per_cpu_s": found["requests"] / found["cpu_s"],
    }


def wrk(mock: MockProcess, folder: Path) -> Figures:
    """Wrk in C with one fixed body that it never checks: the practical limit."""
    script = folder / "wrk.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [==[{seed_body()}]==]\n'
    )
    before = children_cpu_s()
    said = run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), mock.url + paths.create(ACCOUNT)])
    cpu_s = children_cpu_s() - before
    requests = float(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]  # wrk always says so
    return {"requests_per_s": requests / SECONDS, "requests_per_cpu_s": requests / cpu_s}


def k6(mock: MockProcess, folder: Path) -> Figures:
    """k6 in Go with one fixed body, its answer checked."""
    body = folder / "body.json"
    body.write_text(seed_body())
    before = children_cpu_s()
    url = mock.url + paths.create(ACCOUNT)
    said = run(
        ["k6", "run", "-q", "-e", f"URL={url}", "-e", f"BODY={body}", "-e", f"DURATION={SECONDS}s", str(ROOT / "k6.js")]
    )
    cpu_s = children_cpu_s() - before
    requests = float(re.search(r"http_reqs\D*(\d+)", said)[1])  # type: ignore[index]  # as above
    return {"requests_per_s": requests / SECONDS, "requests_per_cpu_s": requests / cpu_s}


def seed_body() -> str:
    """Returns the documented example as one line of JSON."""
    builder = Builder(Catalogue.read(bundled.folder("payloads")), mix="seed", account=ACCOUNT, seed=7)
    return builder.build(0).body.decode()


def children_cpu_s() -> float:
    """Returns the CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command: list[str], **environment: str) -> str:
    """Runs a generator on the last core; returns what it printed."""

    def pin() -> None:
        os.sched_setaffinity(0, {CORES[-1]})

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        preexec_fn=pin,
        timeout=SECONDS + 90,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def side_by_side(folder: Path) -> dict[str, Figures]:
    """Runs each tool in turn, round after round, so that a machine that drifts drifts for all; takes medians."""
    tools: dict[str, Callable[[MockProcess, Path], Figures]] = {"convload": convload, "fast_http_user": fast_http_user}
    tools |= {name: tool for name, tool in (("wrk", wrk), ("k6", k6)) if shutil.which(name)}
    found: dict[str, list[Figures]] = {name: [] for name in tools}
    with start_mock(Behaviour(auth=False)) as mock:
        os.sched_setaffinity(mock.pid, {CORES[0]})
        for _ in range(ROUNDS):
            for name, tool in tools.items():
                found[name].append(tool(mock, folder))
                print(f"  {name}: {found[name][-1]}", flush=True)
    return {name: {key: statistics.median(one[key] for one in many) for key in many[0]} for name, many in found.items()}


def ratios(tools: dict[str, Figures]) -> Figures:
    """Returns convload's figures over the others'."""
    ours = tools["convload"]
    made = {"cpu_over_fast_http_user": ours["requests_per_cpu_s"] / tools["fast_http_user"]["requests_per_cpu_s"]}
    for name in ("wrk", "k6"):
        if name in tools:
            made[f"rate_over_{name}"] = ours["requests_per_s"] / tools[name]["requests_per_s"]
            made[f"cpu_over_{name}"] = ours["requests_per_cpu_s"] / tools[name]["requests_per_cpu_s"]
    return made


def main() -> None:
    """Runs everything."""
    results: dict[str, Any] = {"machine": machine.facts(), "versions": machine.versions(), "seconds": SECONDS}
    print("payloads", flush=True)
    results["payloads"] = payload_speed()
    print(f"generators, {ROUNDS} rounds of {SECONDS} s each", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results["generators"] = side_by_side(Path(folder))
    results["ratios"] = ratios(results["generators"])
    (ROOT / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps({key: results[key] for key in ("payloads", "generators", "ratios")}, indent=2))
    print(f"written to {ROOT / 'results.json'}")


if __name__ == "__main__":
    main()
