"""What open pages cost the load: lateness with and without three of them, in turns: `python -m bench.pages`."""

import http.client
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from bench.figures import Figure
from bench.tools import COMMAND, MOCK_CORE, ROUNDS, SECONDS, Run, on_cores, pinned_mock
from tests.browser import CHROMIUM, browser

from convload.results import runlog

RATE = 500
PAGES = 3
LASTS_S = 2 * SECONDS
"""Three browsers take some seconds to start; only then is looked at what the pages cost."""
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S+/")


class Watched(Run):
    """What a run measured, and the share of a core that its parent process took meanwhile."""

    def __init__(self, log: runlog.RunLog, parent_cpu: float) -> None:
        super().__init__(log)
        self.parent_cpu = parent_cpu


def pages(folder: Path) -> list[Figure]:
    """Lateness and CPU time of a request: no page, three listeners to the events, three pages in a browser."""
    kinds = ["none", "events", *(["browser"] if CHROMIUM else [])]
    found: dict[str, list[Watched]] = {kind: [] for kind in kinds}
    with pinned_mock() as mock:
        for number in range(ROUNDS):
            for kind in kinds:
                found[kind].append(_watched(mock.url, folder / f"{kind}-{number}", kind))
    names = {"none": "no page", "events": f"{PAGES} listeners", "browser": f"{PAGES} pages in a browser"}
    return [figure for kind, runs in found.items() for figure in _figures(names[kind], runs, found["none"])]


def _figures(name: str, runs: list[Watched], without: list[Watched]) -> Iterator[Figure]:
    for percent in (50, 99):
        us, base_us = (
            statistics.median(one.create.all_lateness.percentile(percent) for one in each) for each in (runs, without)
        )
        note = "" if runs is without else f"{us / max(base_us, 1):.2f} × that without"
        yield Figure(f"{name}, lateness p{percent}", us, "µs", note=note)
    parent = statistics.median(one.parent_cpu for one in runs)
    yield Figure(f"{name}, CPU time of the parent", parent, "of a core")
    yield Figure(f"{name}, CPU time of a request", statistics.median(one.cpu_us_per_request for one in runs), "µs")


def _watched(url: str, out: Path, kind: str) -> Watched:
    """Runs a load, on the core that the mock does not have, while its page is open so often."""
    command = [*COMMAND, "--target", url, "--rate", str(RATE), "--arrivals", "even"]
    command += ["--warmup", "1s", "--duration", f"{LASTS_S}s", "--out", str(out)]
    command += [] if kind == "none" else ["--web", "127.0.0.1:0"]
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert run.stderr is not None
    assert run.stderr.readline()
    with ExitStack() as stack:
        if kind != "none":
            address = next(found[0] for line in run.stderr if (found := ADDRESS.search(line)))
            for number in range(PAGES):
                stack.enter_context(_listener(address) if kind == "events" else _page(address, out, number))
        share = _share_of_core(psutil.Process(run.pid), SECONDS - 1)
        run.stderr.read()
        run.wait()
    return Watched(runlog.read(out), share)


def _share_of_core(process: psutil.Process, seconds: float) -> float:
    """Returns what a process takes while the load goes on, its children left out."""
    begun_s, before = time.monotonic(), process.cpu_times()
    time.sleep(seconds)
    after = process.cpu_times()
    took_s: float = after.user + after.system - before.user - before.system
    return took_s / (time.monotonic() - begun_s)


@contextmanager
def _listener(address: str) -> Iterator[None]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port)
    connection.request("GET", f"{parts.path}events")
    reading = threading.Thread(target=connection.getresponse().read, daemon=True)
    reading.start()
    yield
    reading.join(5)
    connection.close()


@contextmanager
def _page(address: str, out: Path, number: int) -> Iterator[None]:
    folder = out.parent / f"{out.name}-page-{number}"
    folder.mkdir()
    # Beside the mock: a person's browser is on another machine, or at least on another core.
    with on_cores({MOCK_CORE}), browser(folder) as opened:
        opened.go(address)
        yield


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for figure in pages(Path(temporary)):
            print(figure.told())
