"""The server of `convload serve`, asked over a real socket."""

import http.client
import re
import shutil
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from bench.comparison import Service, write_run
from tests.conftest import Cli

from convload.live.runs import Runs
from convload.report.folder import write_all


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "runs"
    service = Service(rate=200.0, seconds=12, level_sigma=0.01)
    for seed, name in enumerate(("before", "nested/after")):
        write_all(write_run(root / name, service, np.random.default_rng(seed)))
    (root.parent / "secret").mkdir()
    shutil.copy(root / "before" / "report.html", root.parent / "secret")
    return root


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Runs]:
    runs = Runs(root, "127.0.0.1", 0)
    yield runs
    runs.close()


def ask(served: Runs, path: str, host: str = "") -> tuple[int, str]:
    parts = urlsplit(served.address)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request("GET", path, headers={"Host": host or parts.netloc})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def under(served: Runs, rest: str) -> str:
    return urlsplit(served.address).path + rest


def test_the_command_prints_the_address_and_ends_with_ctrl_c(cli: Cli, root: Path) -> None:
    process = cli.start("serve", str(root))
    assert process.stderr is not None
    line = process.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)
    assert address is not None, line

    with urllib.request.urlopen(address[0], timeout=60) as answer:  # noqa: S310 -- what it printed
        page = answer.read().decode()
    process.send_signal(signal.SIGINT)

    assert "nested/after" in page
    assert process.wait(30) == 130


def test_the_index_leads_to_reports_and_to_a_comparison(served: Runs, root: Path) -> None:
    status, page = ask(served, under(served, ""))

    assert status == 200
    assert 'href="./nested/after/report.html"' in page
    assert 'data-compare="./compare"' in page
    assert ask(served, under(served, "nested/after/report.html")) == (
        200,
        (root / "nested/after/report.html").read_text(),
    )


def test_two_runs_are_compared_on_a_page(served: Runs) -> None:
    status, page = ask(served, under(served, "compare?base=before&new=nested/after"))

    assert status in {200, 422}, page
    assert "conversation.create" in page or "unlike" in page


@pytest.mark.parametrize("path", ["/", "/x/", "/before/report.html"])
def test_without_the_token_nothing_is_answered(served: Runs, path: str) -> None:
    assert ask(served, path) == (403, "")


def test_a_name_of_somebody_elses_is_refused(served: Runs) -> None:
    assert ask(served, under(served, ""), host="evil.example")[0] == 403


@pytest.mark.parametrize("run", ["../secret", "..%2fsecret", "nested/../../secret", "before/..", "nobody", "/etc"])
def test_no_path_leads_out_of_the_folder(served: Runs, run: str) -> None:
    status, text = ask(served, under(served, f"{run}/report.html"))

    assert status in {403, 404}
    assert "<html" not in text
    assert ask(served, under(served, f"compare?base=before&new={run}"))[0] == 404
