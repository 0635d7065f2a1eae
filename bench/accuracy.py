"""Whether arrivals are sent when they are due, and whether the times that are told are the target's own."""

import re
import shutil
import socket
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from bench.figures import Figure
from bench.tools import (
    ACCOUNT,
    CORES,
    ROOT,
    ROUNDS,
    SECONDS,
    SEED,
    SLACK_S,
    TOOL_CORE,
    Run,
    convload,
    create_url,
    on_cores,
    pinned_mock,
    run,
    seed_body,
)

from convload.contract import paths
from convload.mock.process import MockProcess
from convload.plan.schedule import RateProfile, Stage, blocks

Times = npt.NDArray[np.float64]

RATES = (1_000, 10_000)
OPEN_RATE = 30_000
OPEN_IN_FLIGHT = 300
"""Ten times what the rate needs at the mock's service time. At the edge of what a core can do each further connection
makes requests dearer, and a backlog among thousands of them would never be worked off."""

FREE = frozenset(CORES)
"""Where lateness is measured the kernel places the processes as it does for users: a worker that shares its one core
with the coordinator by force would be late by its turns."""

SERVICE_SAMPLES = 2_000
WARMUP_S = 1

ANDERSON_DARLING_5_PERCENT, ANDERSON_DARLING_1_PERCENT = 2.492, 3.857
"""Critical values for a distribution that is known in full (Stephens 1974, case 0)."""


def server(_folder: Path) -> list[Figure]:
    """The mock is fast enough to be what accuracy is measured against."""
    with pinned_mock() as mock:
        at_once_us, paced_us = service_p50_us(mock, 0), service_p50_us(mock, RATES[0])
    return [
        Figure("mock, service p50, request after request", at_once_us, "µs", at_most=100),
        Figure(f"mock, service p50 at {RATES[0]:,}/s", paced_us, "µs"),
    ]


def service_p50_us(mock: MockProcess, rate: float) -> float:
    """Returns the median time that the mock takes for one request at a time over a plain blocking socket.

    `rate` is how many a second; 0 for the next as soon as the last is answered. It waits for the instant without
    sleeping, so that waking up is in no figure.
    """
    with on_cores({TOOL_CORE}):
        return _blocking_p50_us(mock, rate)


def _blocking_p50_us(mock: MockProcess, rate: float) -> float:
    parts, body, took_s = urlsplit(mock.url), seed_body(), []
    head = f"POST {paths.create(ACCOUNT)} HTTP/1.1\r\nHost: mock\r\nContent-Length: {len(body)}\r\n"
    request = head.encode() + b"Content-Type: application/json\r\n\r\n" + body
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began_s = time.perf_counter()
        for number in range(SERVICE_SAMPLES):
            while rate and time.perf_counter() < began_s + number / rate:
                pass
            sent_s = time.perf_counter()
            sock.sendall(request)
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
            took_s.append(time.perf_counter() - sent_s)
    return statistics.median(took_s) * 1e6


def accuracy(folder: Path) -> list[Figure]:
    """Lateness, exact counts and honest response times at an even rate, and Poisson arrivals that are Poisson."""
    with pinned_mock() as mock:
        figures = [figure for rate in RATES for figure in _even(mock, folder, rate)]
        figures += [figure for rate in RATES for figure in _poisson(mock, folder, rate)]
        figures += _others(mock, folder)
    return figures


def _even(mock: MockProcess, folder: Path, rate: int) -> list[Figure]:
    runs = [convload(mock.url, folder, "--rate", str(rate), "--arrivals", "even", cores=FREE) for _ in range(ROUNDS)]
    figures = [*_lateness(f"{rate:,}/s", runs, p50_us=60, p99_us=500), _count(rate, runs)]
    return [*figures, _overhead(runs, service_p50_us(mock, rate))] if rate == RATES[0] else figures


def open_rate(folder: Path) -> list[Figure]:
    """The highest rate that one worker promises, payloads varied and answers checked."""
    options = ["--rate", str(OPEN_RATE), "--arrivals", "even", "--max-in-flight", str(OPEN_IN_FLIGHT)]
    with pinned_mock() as mock:
        runs = [convload(mock.url, folder, *options, warmup_s=2, cores=FREE) for _ in range(ROUNDS)]
    name = f"{OPEN_RATE:,}/s"
    return [
        *_lateness(name, runs, p50_us=None, p99_us=3000),
        _count(OPEN_RATE, runs),
        Figure(f"{name}, unsent", sum(one.end.unsent for one in runs), at_most=0),
        Figure(f"{name}, failed", sum(one.create.failed for one in runs), at_most=0),
        Figure(f"{name}, CPU time of a request", statistics.median(one.cpu_us_per_request for one in runs), "µs"),
    ]


def _lateness(name: str, runs: list[Run], *, p50_us: float | None, p99_us: float) -> list[Figure]:
    p50, p99 = (statistics.median(one.create.all_lateness.percentile(q) for one in runs) for q in (50, 99))
    return [
        Figure(f"{name}, lateness p50", p50, "µs", at_most=p50_us),
        Figure(f"{name}, lateness p99", p99, "µs", at_most=p99_us),
    ]


def _count(rate: float, runs: list[Run]) -> Figure:
    off = max(abs(one.create.count - rate * SECONDS) + one.end.unsent for one in runs)
    return Figure(f"{rate:,}/s, requests more or fewer than rate × time", off, at_most=0)


def _overhead(runs: list[Run], true_us: float) -> Figure:
    response_us = statistics.median(one.create.response.percentile(50) for one in runs)
    note = f"{response_us:.0f} µs of response, {true_us:.0f} µs of service"
    return Figure(
        f"{RATES[0]:,}/s, response p50 above the true one", response_us - true_us, "µs", at_most=100, note=note
    )


def _poisson(mock: MockProcess, folder: Path, rate: int) -> list[Figure]:
    """Anderson–Darling of the gaps between due times and between sent times, against the exponential of the rate.

    One core sends one request after the other, some 25 µs each. At the highest rate that is a good part of a gap, and
    the test finds it in tens of thousands of gaps; so there the figure of what was sent has no target.
    """
    out = folder / f"times-{rate}"
    options = ["--rate", str(rate), "--arrivals", "poisson", "--locustfile", str(ROOT / "recording_locustfile.py")]
    convload(mock.url, folder, *options, environment={"BENCH_TIMES": str(out)}, cores=FREE)
    due, sent = np.fromfile(out).reshape(-1, 2).T
    planned = np.concatenate(list(blocks(RateProfile([Stage(rate, rate, WARMUP_S + SECONDS)]), "poisson", SEED)))
    due, sent = np.sort(due), np.sort(sent)
    assert len(planned) == len(due), f"{len(planned)} arrivals were planned and {len(due)} sent"
    assert np.allclose(planned - planned[0], due - due[0], atol=1e-6), "what was due is not what was planned"
    what = f"{rate:,}/s Poisson, Anderson–Darling A² of gaps"
    of_sent = ANDERSON_DARLING_1_PERCENT if rate == RATES[0] else None
    return [
        Figure(f"{what} as due", anderson_darling(np.diff(due), 1 / rate), at_most=ANDERSON_DARLING_5_PERCENT),
        Figure(f"{what} as sent", anderson_darling(np.diff(sent), 1 / rate), at_most=of_sent),
    ]


def anderson_darling(gaps: Times, mean: float) -> float:
    """Returns A² of gaps against the exponential distribution of a known mean."""
    scaled = np.sort(np.maximum(gaps, 1e-9)) / mean
    count = len(scaled)
    weights = 2 * np.arange(1, count + 1) - 1
    below = np.log(-np.expm1(-scaled))
    return float(-count - (weights * (below - scaled[::-1])).sum() / count)


def _others(mock: MockProcess, folder: Path) -> list[Figure]:
    """What wrk2 and k6 tell of the same target at the same rate, where they are installed."""
    rate, url, body = RATES[0], create_url(mock), folder / "body.json"
    body.write_bytes(seed_body())
    wrk2 = ["wrk2", "-t1", "-c32", f"-d{SECONDS}s", f"-R{rate}", "--latency", "-s", str(ROOT / "wrk_create.lua"), url]
    k6 = ["k6", "run", "-q", "-e", f"URL={url}", "-e", f"BODY={body}", "-e", f"DURATION={SECONDS}s"]
    commands = {
        "wrk2": ([*wrk2, "--", str(body)], r"50\.000%\s+([\d.]+)(us|ms|s)"),
        "k6": ([*k6, "-e", f"RATE={rate}", str(ROOT / "k6.js")], r"http_req_duration.*?p\(50\)=([\d.]+)(µs|ms|s)"),
    }
    figures = []
    for name, (command, pattern) in commands.items():
        if shutil.which(name):
            found = re.search(pattern, run(command, timeout_s=SECONDS + SLACK_S))
            assert found, f"{name} told no median"
            value_us = float(found[1]) * {"us": 1, "µs": 1, "ms": 1e3, "s": 1e6}[found[2]]
            figures.append(Figure(f"{rate:,}/s, response p50 as {name} tells it", value_us, "µs"))
    return figures
