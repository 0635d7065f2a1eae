"""What becomes of runs whose target, or whose token endpoint alone, stands still for a while.

A mock stands behind a look-up that names it as the messaging service, and as the token services a proxy before it.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from bench.figures import Figure
from bench.soak import Proxy, stopped
from bench.tools import ACCOUNT, SLACK_S

from convload.contract.paths import IDP, MESSAGING, SENTINEL
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour
from convload.results import runlog
from convload.results.run import Run

KEYS = {"CONVLOAD_CLIENT_ID": "bench", "CONVLOAD_CLIENT_SECRET": "bench"}
RATE = 60
CONSUMERS = ("none", "close", "pool", "fresh")
FROZEN_S = (1, 3, 10)
TRIES = 4
"""Of a case: on a machine that does other work too, some runs are inconclusive for what the generator itself did."""

MEASURED_S = 20
"""With less nobody knows how far requests depend on each other, and no gate is decided but by a standstill."""

GATE = "create.p97 < 250ms"
"""In a freeze of 1 s 45 of 1,200 requests wait for longer."""

NO_EFFECT = {("tokens", "none"), ("tokens", "pool"), ("tokens", "close")}
"""Where no token is asked for while the load goes on and no more users are needed than there are."""

PLAN = """
[validity]
lateness_p99_ms = 250.0  # a machine that does other work too is a little late; who waits in a freeze, much more
"""

BEGUN = 3
"""Intervals after which the target is frozen."""


class LookUp(http.server.ThreadingHTTPServer):
    """Answers the domain look-up, and nothing else."""

    def __init__(self, hosts: dict[str, str]) -> None:
        entries = [{"service": name, "account": ACCOUNT, "baseURI": host} for name, host in hosts.items()]
        body = json.dumps({"baseURIs": entries}).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.startswith("/api/account/")
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body) if found else 0))
                self.end_headers()
                self.wfile.write(body if found else b"")

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


def freezes(folder: Path) -> list[Figure]:
    """The verdict of each run, and whether it is the one that it must be; a machine that is busy spoils some."""
    figures = []
    for what in ("target", "tokens"):
        for consumers in CONSUMERS:
            for seconds in FROZEN_S:
                for once in range(1, TRIES + 1):
                    verdict = _verdict(folder / f"{what}-{consumers}-{seconds}-{once}", what, consumers, seconds)
                    if verdict["outcome"] != "inconclusive":
                        break
                expected = "pass" if (what, consumers) in NO_EFFECT else "fail"
                name = f"{what} frozen for {seconds} s, consumers = {consumers}: ends as it must"
                again = f" (run {once} of it; before, the machine was too busy)" if once > 1 else ""
                note = f"{verdict['outcome']}, where {expected} is right{again}: {verdict['text']}"
                figures.append(Figure(name, float(verdict["outcome"] == expected), at_least=1, note=note))
                print(f"  {name}: {note}", flush=True)
    return figures


def _verdict(folder: Path, what: str, consumers: str, seconds: int) -> dict[str, str]:
    with ExitStack() as stack:
        mock = stack.enter_context(start_mock(Behaviour(auth=consumers != "none")))
        place = urlsplit(mock.url)
        tokens = Proxy((str(place.hostname), int(place.port or 0)))
        stack.callback(tokens.close)
        look_up = LookUp({MESSAGING: place.netloc, SENTINEL: tokens.address, IDP: tokens.address})
        stack.callback(look_up.server_close)
        stack.callback(look_up.shutdown)
        options = ["--target", look_up.url, "--rate", str(RATE), "--arrivals", "even", "--warmup", "1s"]
        options += ["--duration", f"{MEASURED_S}s", "--consumers", consumers, "--gate", GATE]
        own = {"CONVLOAD_LOOKUP": "true", "CONVLOAD_ACCOUNT": ACCOUNT, "CONVLOAD_POOL_SIZE": "3000", **KEYS}
        if consumers != "pool":
            own.pop("CONVLOAD_POOL_SIZE")
        plan = folder.with_suffix(".toml")
        plan.write_text(PLAN)
        run = subprocess.Popen(
            [sys.executable, "-m", "convload.cli", "run", str(plan), *options, "--out", str(folder)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | own,
        )  # fmt: skip
        stack.callback(run.kill)
        _await_begun(folder, run)
        with stopped(psutil.Process(mock.pid)) if what == "target" else tokens.cut():
            time.sleep(seconds)
        _, err = run.communicate(timeout=SLACK_S)
    try:
        return dict(json.loads((folder / "summary.json").read_text())["verdict"])
    except OSError:
        sys.exit(err)


def _await_begun(folder: Path, run: "subprocess.Popen[str]") -> None:
    """Waits for some seconds of the run."""
    path = folder / runlog.FILE_NAME
    while not (path.exists() and path.stat().st_size and _count_intervals(path) >= BEGUN):
        if run.poll() is not None:
            sys.exit(run.communicate()[1])
        time.sleep(0.05)


def _count_intervals(path: Path) -> int:
    return len(Run(runlog.read(path)).health)
