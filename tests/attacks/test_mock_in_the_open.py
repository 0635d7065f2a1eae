"""A mock that other machines reach says so, and shows what it has seen to nobody without its token."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from tests.conftest import clean_environment

SHOWN = ["stats", "ledger", "truth"]
TIMEOUT_S = 10

Start = Callable[..., "Mock"]


class Mock:
    """`convload mock` with some flags, until its standard input closes."""

    def __init__(self, *flags: str) -> None:
        command = [sys.executable, "-m", "convload.cli", "mock", "--until-stdin-closes", *flags]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=clean_environment()
        )
        assert self._process.stdout is not None
        self.said: dict[str, Any] = json.loads(self._process.stdout.readline())
        self._url = f"http://127.0.0.1:{urlsplit(self.said['url']).port}/__mock__/"

    def ask(self, page: str, **headers: str) -> int:
        """Returns the status of what the mock answers about itself."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return int(urlopen(Request(self._url + page, headers=named), timeout=TIMEOUT_S).status)  # noqa: S310 -- the mock's
        except HTTPError as refused:
            return refused.code

    def end(self) -> tuple[int, str]:
        """Returns its exit code, and what it said on standard error."""
        _, err = self._process.communicate(timeout=TIMEOUT_S)
        return self._process.returncode, err


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def one(*flags: str) -> Mock:
            mock = Mock(*flags)
            stack.callback(mock.end)
            return mock

        yield one


def test_a_mock_on_loopback_shows_what_it_has_seen(start: Start) -> None:
    mock = start("--auth", "off")

    assert "token" not in mock.said
    assert [mock.ask(page) for page in SHOWN] == [200] * 3
    assert mock.end() == (0, "")


def test_a_mock_in_the_open_shows_what_it_has_seen_to_whoever_has_its_token(start: Start) -> None:
    mock = start("--host", "0.0.0.0")
    token = mock.said["token"]

    assert [mock.ask(page) for page in SHOWN] == [401] * 3
    assert [mock.ask(page, X_Mock_Token=token[:-1]) for page in SHOWN] == [401] * 3
    assert [mock.ask(f"{page}?token=") for page in SHOWN] == [401] * 3
    assert [mock.ask(page, X_Mock_Token=token) for page in SHOWN] == [200] * 3
    assert [mock.ask(f"{page}?token={token}") for page in SHOWN] == [200] * 3


def test_a_mock_in_the_open_warns_in_words(start: Start) -> None:
    mock = start("--host", "0.0.0.0", "--auth", "off")
    code, err = mock.end()

    assert code == 0
    assert err.startswith("convload: warning: ")
    assert "0.0.0.0" in err
    assert mock.said["token"] in err


def test_each_start_has_another_token(start: Start) -> None:
    assert start("--host", "0.0.0.0").said["token"] != start("--host", "0.0.0.0").said["token"]


@pytest.mark.parametrize("stdin", ["/dev/null", "-", "{file}"], ids=["nothing", "closed", "a file"])
def test_a_mock_whose_input_is_at_its_end_ends_in_good_order(stdin: str, tmp_path: Any) -> None:
    file = tmp_path / "input"
    file.write_text("some words\n" * 10_000)
    given = "<&-" if stdin == "-" else f"<{stdin.format(file=file)}"
    command = f'exec "$0" -m convload.cli mock --until-stdin-closes {given}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["url"]
