"""The bundled user classes under Locust's own command."""

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import Done, clean_environment

from convload import bundled
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour


def stock_locust(url: str, folder: Path, *arguments: str, **environment: str) -> Done:
    locustfile = bundled.folder("locustfiles") / "create_conversation.py"
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "-H", url, *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_under_the_stock_locust_command_its_own_statistics_are_right(tmp_path: Path) -> None:
    """Read from the table Locust prints at the end: its CSV file misses the last second."""
    with start_mock(Behaviour(service_time="constant(20ms)")) as mock:
        done = stock_locust(
            mock.url, tmp_path, "-u", "5", "-r", "5", "-t", "6s", "--stop-timeout", "5", "--only-summary"
        )
        received = mock.stats()["create"]["received"]

    assert done.code == 0, done
    row = re.search(
        r"POST +conversation\.create +(\d+) +(\d+)\(.*?\) \| +(\d+) +(\d+) +\d+ +(\d+)", done.out + done.err
    )
    assert row is not None, done
    requests, failures, average_ms, min_ms, median_ms = map(int, row.groups())
    assert requests == received > 100
    assert failures == 0
    assert 19 <= min_ms <= average_ms
    assert 20 <= median_ms < 60


def test_under_the_stock_locust_command_failures_are_failures(tmp_path: Path) -> None:
    with start_mock(Behaviour(http_5xx_share=1.0)) as mock:
        done = stock_locust(mock.url, tmp_path, "-u", "1", "-t", "6s", CONVLOAD_THINK="constant 100ms")

    assert done.code == 1, done
    assert "http_502" in done.out + done.err


def test_under_the_stock_locust_command_an_unusable_target_is_one_message(tmp_path: Path) -> None:
    done = stock_locust("http://127.0.0.1:9", tmp_path, "-u", "1", "-t", "6s")

    assert done.code == 4, done
    assert "connect_refused" in done.err


def test_under_the_stock_locust_command_what_the_end_cuts_off_is_no_failure(tmp_path: Path) -> None:
    """As with Locust's own FastHttpUser: without --stop-timeout users are killed in the middle of a request."""
    with start_mock(Behaviour(service_time="constant(300ms)")) as mock:
        done = stock_locust(mock.url, tmp_path, "-u", "20", "-r", "20", "-t", "6s")

    assert done.code == 0, done
    assert "read_timeout" not in done.out + done.err
