"""How many validated creates a second the mock answers on one core, driven by wrk from another.

Prints one JSON object: for auth off and auth on the best requests per second of several runs, and the best
requests per second of CPU time of the mock, which a busy machine disturbs less. With auth on, every create
brings a ConsumerJWS that the mock has not seen before.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from convload import bundled
from convload.contract import paths
from convload.mock.process import MockProcess, start_mock
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue
from convload.plan.mock_behaviour import Behaviour

ACCOUNT = "12345678"
CONNECTIONS = 32
MOCK_CORE, WRK_CORE = 0, 1
TOKENS_PER_S = 60_000
"""More than the mock can take in a second, so that no consumer comes twice."""
MINTED_AT_ONCE = 500
SCRIPT = Path(__file__).with_name("wrk_create.lua")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    figures = {
        name: best([measure(auth=auth, seconds=options.seconds) for _ in range(options.runs)])
        for name, auth in (("auth_off", False), ("auth_on", True))
    }
    print(json.dumps(figures))


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: max(run[name] for run in runs) for name in runs[0]}


def measure(*, auth: bool, seconds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, start_mock(Behaviour(auth=auth)) as mock:
        os.sched_setaffinity(mock.pid, {MOCK_CORE})
        body = Path(folder, "body.json")
        body.write_bytes(Builder(Catalogue.read(bundled.folder("payloads"))).build_variant("seed", 0).body)
        arguments = [str(body)]
        if auth:
            tokens = Path(folder, "tokens")
            tokens.write_bytes(b"\n".join(mint(mock, TOKENS_PER_S * seconds)) + b"\n")
            arguments.append(str(tokens))
        return drive(mock, seconds, arguments)


def drive(mock: MockProcess, seconds: int, arguments: list[str]) -> dict[str, float]:
    url = mock.url + paths.create(ACCOUNT)
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), url, "--", *arguments]
    before = psutil.Process(mock.pid).cpu_times()
    command = ["taskset", "-c", str(WRK_CORE), "wrk", *options]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    after = psutil.Process(mock.pid).cpu_times()
    create = mock.stats()["create"]
    assert create["by_status"].keys() == {"200"}, f"not every create was accepted: {create}"
    rate = re.search(r"Requests/sec: +([\d.]+)", told.stdout)
    assert rate, told.stdout
    cpu_s = after.user + after.system - before.user - before.system
    return {"requests_per_s": float(rate[1]), "requests_per_cpu_s": round(create["received"] / cpu_s, 1)}


def mint(mock: MockProcess, count: int) -> list[bytes]:
    """Returns an AppJWT and `count` ConsumerJWSs, asked for in pipelines because a call each would take minutes."""
    parts = urlsplit(mock.url)
    with socket.create_connection((str(parts.hostname), parts.port or 0)) as sock:
        form = b"client_id=bench&client_secret=bench"
        (app,) = exchange(sock, [post(paths.app_token(ACCOUNT), form)])
        consumers: list[bytes] = []
        while len(consumers) < count:
            names = range(len(consumers), len(consumers) + MINTED_AT_ONCE)
            bodies = [b'{"ext_consumer_id":"bench-%d"}' % name for name in names]
            line = b"Authorization: %b\r\n" % app
            consumers += exchange(sock, [post(paths.consumer_token(ACCOUNT), body, line) for body in bodies])
    return [app, *consumers]


def post(target: str, body: bytes, line: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: mock\r\n%bContent-Length: %d\r\n\r\n%b" % (
        target.encode(),
        line,
        len(body),
        body,
    )


def exchange(sock: socket.socket, requests: list[bytes]) -> list[bytes]:
    """Sends a pipeline and returns the token of each answer."""
    sock.sendall(b"".join(requests))
    answers = b""
    while answers.count(b"HTTP/1.1 20") < len(requests) or not answers.endswith(b"}"):
        piece = sock.recv(262_144)
        assert piece, "the mock closed the connection"
        answers += piece
    return re.findall(rb'token":"([^"]{40,})"', answers)


if __name__ == "__main__":
    main()
