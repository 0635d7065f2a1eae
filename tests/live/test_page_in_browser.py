"""The live page of a real run in a real browser."""

import gzip
import re
from pathlib import Path

import pytest
from tests.browser import browser, needs_browser
from tests.conftest import Cli, summary_of

AXE = Path(__file__).parent.parent / "axe" / "axe.min.js.gz"
PAGE = re.compile(r"http://127\.0\.0\.1:\d+/\S+/")


@needs_browser
@pytest.mark.xdist_group("browser")
def test_the_page_of_a_run_fills_itself_and_stops_the_run(cli: Cli, tmp_path: Path) -> None:
    run = cli.start(
        *("run", "--name", "<b>live", "--rate", "80", "--duration", "60s", "--warmup", "1s", "--interactive"),
        *("--gate", "create.p50 < 500ms", "--gate", "errors < 50%", "--out", "out", "--web", "127.0.0.1:0"),
    )
    assert run.stderr is not None
    address = next(found[0] for line in run.stderr if (found := PAGE.search(line)))
    with browser(tmp_path) as page:
        page.go(address)
        page.until("Number(document.documentElement.dataset.elapsed) >= 4")
        assert page.ask("document.querySelector('h1').textContent") == "<b>live"
        assert page.ask("document.getElementById('progress-title').textContent") == "1: 80/s"
        page.until("document.querySelectorAll('#charts .plot canvas').length >= 6")
        page.until("document.querySelectorAll('#gates tr').length == 2")
        before = page.ask("document.getElementById('gates').textContent")
        page.until(f"document.getElementById('gates').textContent != {before!r}")
        assert page.ask("[...document.querySelectorAll('#view option')].map((one) => one.textContent)")[0] == (
            "conversation.create"
        )

        page.ask("document.getElementById('load').value = 200; document.getElementById('set-load').click()")
        page.until("document.getElementById('answer').textContent == 'It is being done.'")
        page.until("document.getElementById('progress-title').textContent == 'by hand 1: 200/s'")
        page.ask(gzip.decompress(AXE.read_bytes()).decode() + ";0")
        found = page.ask(
            "axe.run(document, {resultTypes: ['violations']})"
            ".then((all) => all.violations.map((one) => [one.impact, one.id, one.nodes[0].html]))"
        )
        assert [one for one in found if one[0] in {"serious", "critical"}] == []
        page.resize(390)
        page.until("document.documentElement.scrollWidth <= 390")
        page.ask("document.getElementById('stop').click()")
        assert run.wait(30) == 130
        page.until("document.documentElement.dataset.closed == 'yes'")

        assert page.complaints == []
        assert {url.split("/")[2] for url in page.requests if url.startswith("http")} == {address.split("/")[2]}
    summary = summary_of(cli.folder / "out")
    assert "interrupted: stopped by hand before its planned end" in summary["notes"]
    assert summary["duration_s"] < 40
