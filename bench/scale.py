"""What more connections, more requests, more workers cost."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import psutil
from bench.figures import Figure
from bench.tools import (
    CONNECTIONS,
    CORES,
    SECONDS,
    SLACK_S,
    Measurement,
    convload,
    interleaved,
    pinned_mock,
    run,
)

from convload.mock.process import MockProcess

FEW, MANY = 10, 5_000
MANY_WARMUP_S = 3
"""Time to open them all."""

ROUNDS = 2
MILLIONS = float(os.environ.get("BENCH_MILLIONS", "5"))
LOWEST_REQUESTS_PER_S = 5_000
CORES_FOR_TWO_WORKERS = 3
MOCK_IS_THE_LIMIT = 0.95
GROWN_BYTES = 2_000_000
"""What the allocator and the counting of one second may differ by without anything being kept."""

WORKERS = (500, 2_000)
COORDINATOR_S = int(os.environ.get("BENCH_COORDINATOR_SECONDS", "20"))
FREE = frozenset(CORES)


def connections(folder: Path) -> list[Figure]:
    """CPU time and memory with 5,000 connections, all in use, beside 10."""
    with pinned_mock() as mock:
        found = interleaved({f"{users}": partial(_with_users, mock, folder, users) for users in (FEW, MANY)}, ROUNDS)
    few, many = found[f"{FEW}"], found[f"{MANY}"]
    growth = many["cpu_us_per_request"] / few["cpu_us_per_request"]
    memory_kb = (many["memory_bytes"] - few["memory_bytes"]) / (MANY - FEW) / 1000
    note = f"{few['cpu_us_per_request']:.1f} µs and {many['cpu_us_per_request']:.1f} µs"
    return [
        Figure(f"CPU time of a request, {MANY:,} connections over {FEW}", growth, "×", at_most=1.5, note=note),
        Figure("memory of a connection", memory_kb, "KB", at_most=60),
        Figure(f"failed with {MANY:,} connections", many["failed"], at_most=0),
    ]


def _with_users(mock: MockProcess, folder: Path, users: int) -> Measurement:
    found = convload(mock.url, folder, "--users", str(users), warmup_s=MANY_WARMUP_S)
    memory = max(one.memory_bytes for one in found.intervals)
    return {
        "cpu_us_per_request": found.cpu_us_per_request,
        "memory_bytes": memory,
        "failed": found.create.failed,
    }


def memory(folder: Path) -> list[Figure]:
    """Memory of the worker after a fifth of many requests, and after all."""
    requests = int(MILLIONS * 1_000_000)
    options = ["--users", str(CONNECTIONS), "--conversations", str(requests)]
    with pinned_mock() as mock:
        found = convload(mock.url, folder, *options, warmup_s=0, seconds=requests / LOWEST_REQUESTS_PER_S)
    fifth = next(one for one in found.intervals if one.recorded >= requests / 5)
    grown = found.intervals[-1].memory_bytes - fifth.memory_bytes
    note = f"{fifth.memory_bytes / 1e6:.1f} MB and {found.intervals[-1].memory_bytes / 1e6:.1f} MB"
    what = f"memory grown from {requests // 5:,} to {requests:,} requests"
    return [Figure(what, grown / 1e6, "MB", at_most=GROWN_BYTES / 1e6, note=note)]


def workers(folder: Path) -> list[Figure]:
    """Two workers on two cores beside one on one, the mock on a third."""
    what = "requests/s of two workers over one"
    if len(CORES) < CORES_FOR_TWO_WORKERS:
        why = f"not measurable here: {len(CORES)} cores, and the mock needs one of three"
        return [Figure(what, None, "×", at_least=1.8, note=why)]
    with pinned_mock() as mock:
        found = interleaved({f"{count}": partial(_with_workers, mock, folder, count) for count in (1, 2)}, ROUNDS)
    if found["2"]["mock_cpu_share"] > MOCK_IS_THE_LIMIT:
        return [Figure(what, None, "×", at_least=1.8, note="not measurable here: the mock is the limit")]
    return [Figure(what, found["2"]["requests_per_s"] / found["1"]["requests_per_s"], "×", at_least=1.8)]


def _with_workers(mock: MockProcess, folder: Path, count: int) -> Measurement:
    """Runs on as many cores as there are workers; the mock's CPU share is of the busy time."""
    before = psutil.Process(mock.pid).cpu_times()
    found = convload(
        mock.url, folder, "--users", str(CONNECTIONS), "--workers", str(count), cores=frozenset(CORES[-count:])
    )
    after = psutil.Process(mock.pid).cpu_times()
    mock_cpu_s = after.user + after.system - before.user - before.system
    return {"requests_per_s": found.requests_per_s, "mock_cpu_share": mock_cpu_s / (SECONDS + 1)}


def coordinator(folder: Path) -> list[Figure]:
    """What a coordinator needs that takes an interval a second of each of many workers, and its log of an hour."""
    return [figure for workers in WORKERS for figure in _coordinator(folder, workers)]


def _coordinator(folder: Path, workers: int) -> list[Figure]:
    command = [sys.executable, "-m", "bench.coordinator_load", str(COORDINATOR_S), str(workers), str(folder)]
    told = json.loads(run(command, timeout_s=COORDINATOR_S + workers / 20 + SLACK_S, cores=FREE))
    assert told["written"] == COORDINATOR_S * workers, told
    what = f"coordinator of {workers:,} workers"
    hour_gb = told["bytes"] / COORDINATOR_S * 3600 / 1e9
    return [
        Figure(f"{what}, CPU time", told["cpu_share"], "cores", at_most=1.0),
        Figure(f"{what}, memory", told["memory_mb"], "MB"),
        Figure(f"{what}, its loop late, p50", told["late_p50_ms"], "ms"),
        Figure(f"{what}, its loop late, p99", told["late_p99_ms"], "ms"),
        Figure(f"{what}, log of an hour", hour_gb, "GB", at_most=1.0, note=f"from {COORDINATOR_S} s"),
    ]
