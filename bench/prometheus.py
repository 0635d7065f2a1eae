"""Lets a real Prometheus scrape a run and answer what the dashboard asks: `python -m bench.prometheus`, or a section.

It needs `prometheus` on PATH (Debian's package); without it there are no figures.
"""

import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.figures import Figure
from bench.tools import ROOT

DASHBOARD = ROOT.parent / "deploy" / "grafana" / "convload.json"
CONFIG = """global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: convload
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
WITHIN_S = 60.0
BEFORE_THE_END_S = 5.0
"""What the dashboard asks is asked for then: of a target that is gone Prometheus tells nothing new."""


def prometheus(folder: Path) -> list[Figure]:
    """Requests of which Prometheus knows other than the summary does, and expressions that it refuses."""
    program = shutil.which("prometheus")
    if program is None:
        print("prometheus: is not on PATH; nothing is scraped")
        return []
    metrics, web, out = free_port(), free_port(), folder / "scraped"
    with server(program, metrics, web, folder):
        command = [sys.executable, "-m", "convload.cli", "run", "--rate", "200", "--duration", "20s", "--warmup", "2s"]
        command += ["--prometheus", f"127.0.0.1:{metrics}", "--out", str(out)]
        subprocess.run(command, capture_output=True, check=False, timeout=WITHIN_S + 60)
        known = scraped(web)
        found = {text: query(web, text, at_s=time.time() - BEFORE_THE_END_S) for text in expressions()}
    expected = summarised(out)
    differing = sum(abs(known[kind] - expected[kind]) for kind in known | expected)
    refused = [text for text, series in found.items() if series is None]
    empty = [text for text, series in found.items() if series == [] and "outcome!=" not in text]
    return [
        Figure("requests measured, as Prometheus has them", sum(known.values())),
        Figure("requests in which it differs from summary.json", differing, at_most=0),
        Figure("expressions of the dashboard that it refuses", len(refused), at_most=0, note=f"of {len(found)}"),
        Figure("expressions of the dashboard that show nothing", len(empty), at_most=0, note="; ".join(empty)),
    ]


def scraped(web: int) -> Counter[tuple[str, str]]:
    """Returns the measured requests by step and outcome, as Prometheus has them."""
    text = 'sum by (step, outcome) (last_over_time(convload_requests_total{phase="measure"}[5m]))'
    found: Counter[tuple[str, str]] = Counter()
    for series in query(web, text) or []:
        found[series["metric"]["step"], series["metric"]["outcome"]] = int(float(series["value"][1]))
    return found


def summarised(out: Path) -> Counter[tuple[str, str]]:
    """Returns the same as the summary has them."""
    steps = json.loads((out / "summary.json").read_text())["steps"]
    return Counter(
        {
            (step, kind): count
            for step, row in steps.items()
            for kind, count in {"ok": row["ok"], **row["errors"]}.items()
        }
    )


def expressions() -> Iterator[str]:
    """Yields what the panels of the dashboard ask, its variables filled in."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "30s").replace("$__range", "60s")
            yield re.sub(r"\$(job|phase)", ".*", text).replace("$step", "conversation.create")


@contextmanager
def server(program: str, metrics: int, web: int, folder: Path) -> Iterator[None]:
    """Runs Prometheus, which scrapes one port and answers at the other."""
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(port=metrics))
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{web}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
        try:
            until_s = time.monotonic() + WITHIN_S
            while query(web, "vector(1)") is None and time.monotonic() < until_s:
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait()


def query(port: int, text: str, at_s: float | None = None) -> list[Any] | None:
    """Asks for an expression; None where it is refused, or nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", f"/api/v1/query?query={quote(text)}{'' if at_s is None else f'&time={at_s:.3f}'}")
        told = json.loads(connection.getresponse().read())
        found: list[Any] | None = told["data"]["result"] if told["status"] == "success" else None
    except (OSError, ValueError):
        found = None
    finally:
        connection.close()
    return found


def free_port() -> int:
    """Returns a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        for figure in prometheus(Path(temporary)):
            print(figure.told())
