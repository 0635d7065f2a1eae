"""Makes the pictures of docs: runs against the embedded mock, opens their pages in Chromium, and writes what is seen.

python -m bench.report_pictures            docs/report.png, docs/report-charts.png, docs/report-runs.png
"""

import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browser import Browser, browser

from convload.report import index

DOCS = Path(__file__).parent.parent / "docs"
WIDTH = 1200

PLAN = """
name = "release-check"
rate = 120
duration = "60s"
warmup = "5s"
arrivals = "even"
max_in_flight = 60
seed = 7
tags = ["release=4.2", "team=messaging"]
gates = ["create.p99 < 250ms", "create.p50 < 60ms", "errors < 1%", "unsent == 0"]

[mock]
service_time = "lognormal(24ms, 0.4)"
servers = 8
stall_every = "25s"
stall_for = "900ms"
http_5xx_share = 0.004

[validity]
lateness_p99_ms = 2000
hub_delay_ms = 3000
trend_change = 10
"""

PIPELINE = {
    "GITHUB_SHA": "6f1c0de12ab34c5d",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/messaging",
    "GITHUB_RUN_ID": "1077",
}


def main() -> None:
    """Writes the pictures."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, browser(Path(name)) as chromium:
        folder = Path(name)
        (folder / "release-check.toml").write_text(PLAN)
        for duration, seed in (("20s", 5), ("20s", 6), ("60s", 7)):
            _run(folder, duration, seed)
        page = (folder / "reports" / "latest" / "report.html").read_text(encoding="utf-8")
        chromium.open(page, WIDTH)
        _picture(chromium, DOCS / "report.png", "document.body", 1000)
        _picture(chromium, DOCS / "report-charts.png", "document.querySelector('.charts')", 1130)
        runs = index.read_runs(folder / "reports")
        chromium.open(index.page(runs, Path("reports")), WIDTH)
        chromium.ask(
            "[...document.querySelectorAll('main input[type=checkbox]')].slice(0, 2).forEach((box) => box.click())"
        )
        _picture(chromium, DOCS / "report-runs.png", "document.body", 460)


def _run(folder: Path, duration: str, seed: int) -> None:
    command = [sys.executable, "-m", "convload.cli", "run", "release-check.toml"]
    command += ["--duration", duration, "--seed", str(seed)]
    subprocess.run(command, cwd=folder, env=dict(os.environ) | PIPELINE, check=False)


def _picture(page: Browser, path: Path, place: str, height: int) -> None:
    """Writes what is seen from the top of an element on."""
    top = page.ask(f"{place}.getBoundingClientRect().top + scrollY")
    clip = {"x": 0, "y": max(top - 20, 0), "width": WIDTH, "height": height, "scale": 1}
    shown = page("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    path.write_bytes(base64.b64decode(shown["data"]))


if __name__ == "__main__":
    main()
