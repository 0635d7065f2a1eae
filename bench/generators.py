"""How fast a closed load goes: convload beside FastHttpUser, wrk and k6, on the same work."""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.figures import Figure
from bench.tools import (
    ACCOUNT,
    CONNECTIONS,
    ROOT,
    SECONDS,
    SEED,
    SLACK_S,
    Measurement,
    children_cpu_s,
    convload,
    create_url,
    interleaved,
    pinned_mock,
    run,
    seed_body,
)

from convload import bundled
from convload.mock.process import MockProcess
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue

PAYLOADS = 200_000


def builder(_folder: Path) -> list[Figure]:
    """Payloads of the default mix, one after the other, on one core."""
    build = Builder(Catalogue.read(bundled.folder("payloads")), mix="default", account=ACCOUNT, seed=SEED).build
    began_s = time.process_time()
    for index in range(PAYLOADS):
        build(index)
    return [Figure("payloads built", PAYLOADS / (time.process_time() - began_s), "per CPU-s")]


def closed(folder: Path) -> list[Figure]:
    """All tools over plain HTTP."""
    with pinned_mock() as mock:
        tools: dict[str, Callable[[], Measurement]] = {
            "convload": partial(_convload, mock, folder),
            "FastHttpUser": partial(_fast_http_user, mock, folder),
        }
        others = {"wrk": _wrk, "k6": _k6}
        tools |= {name: partial(tool, mock, folder) for name, tool in others.items() if shutil.which(name)}
        found = interleaved(tools)
    ours = found["convload"]
    figures = [
        Figure("closed, requests", ours["requests_per_s"], "per s"),
        Figure("closed, requests", ours["requests_per_cpu_s"], "per CPU-s"),
        Figure("closed, per CPU-s over FastHttpUser", _ratio(found, "FastHttpUser"), "×", at_least=5, aim=8),
    ]
    by_rate = partial(_ratio, found, of="requests_per_s")
    if "wrk" in found:
        figures.append(Figure("closed, requests/s over wrk", by_rate("wrk"), "×", at_least=0.35, aim=0.5))
        # The mock may be what limits wrk, never how little CPU time it takes.
        figures.append(Figure("closed, per CPU-s over wrk", _ratio(found, "wrk"), "×", at_least=0.35, aim=0.5))
    if "k6" in found:
        figures.append(Figure("closed, requests/s over k6", by_rate("k6"), "×"))
        figures.append(Figure("closed, per CPU-s over k6", _ratio(found, "k6"), "×"))
    return figures


def tls(folder: Path) -> list[Figure]:
    """The same over TLS; FastHttpUser does not verify the certificate, convload does."""
    with pinned_mock(tls=True) as mock:
        found = interleaved(
            {
                "convload": partial(_convload, mock, folder, environment={"CONVLOAD_CA_FILE": str(mock.ca_file)}),
                "FastHttpUser": partial(_fast_http_user, mock, folder),
            }
        )
    return [
        Figure("TLS, requests", found["convload"]["requests_per_s"], "per s"),
        Figure("TLS, per CPU-s over FastHttpUser", _ratio(found, "FastHttpUser"), "×", at_least=3),
    ]


def _ratio(found: dict[str, Measurement], other: str, of: str = "requests_per_cpu_s") -> float:
    return found["convload"][of] / found[other][of]


def _convload(mock: MockProcess, folder: Path, environment: Mapping[str, str] | None = None) -> Measurement:
    """One worker, no think time; CPU time is the worker's own, from its intervals."""
    found = convload(mock.url, folder, "--users", str(CONNECTIONS), environment=environment)
    return {"requests_per_s": found.requests_per_s, "requests_per_cpu_s": found.requests_per_cpu_s}


def _fast_http_user(mock: MockProcess, folder: Path) -> Measurement:
    """Locust's FastHttpUser doing the same: payload built, answer checked, counted."""
    out = folder / f"fast-{time.monotonic_ns()}.json"
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "fasthttp_locustfile.py"), "--headless"]
    command += ["--only-summary", "-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "-t", f"{SECONDS + 1}s"]
    run(
        [*command, "-H", mock.url],
        timeout_s=SECONDS + SLACK_S,
        environment={"BENCH_OUT": str(out), "BENCH_WARMUP_S": "1"},
    )
    found = json.loads(out.read_text())
    return _measurement(found["requests"], found["wall_s"], found["cpu_s"])


def _wrk(mock: MockProcess, folder: Path) -> Measurement:
    """Posts one fixed body, in C, and never checks an answer: the practical limit."""
    body = folder / "body.json"
    body.write_bytes(seed_body())
    before_s = children_cpu_s()
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(ROOT / "wrk_create.lua")]
    said = run([*command, create_url(mock), "--", str(body)], timeout_s=SECONDS + SLACK_S)
    return _measurement(_number(r"(\d+) requests in", said), SECONDS, children_cpu_s() - before_s)


def _k6(mock: MockProcess, folder: Path) -> Measurement:
    """Posts one fixed body, in Go, and checks the answer."""
    body = folder / "body.json"
    body.write_bytes(seed_body())
    before_s = children_cpu_s()
    given = ["-e", f"URL={create_url(mock)}", "-e", f"BODY={body}", "-e", f"DURATION={SECONDS}s"]
    said = run(["k6", "run", "-q", *given, str(ROOT / "k6.js")], timeout_s=SECONDS + SLACK_S)
    return _measurement(_number(r"http_reqs\D*(\d+)", said), SECONDS, children_cpu_s() - before_s)


def _measurement(requests: float, wall_s: float, cpu_s: float) -> Measurement:
    return {"requests_per_s": requests / wall_s, "requests_per_cpu_s": requests / cpu_s}


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    assert found, said
    return float(found[1])
