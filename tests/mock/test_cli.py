import json
import signal
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import pytest
from click.testing import CliRunner

from convload.cli.mock import mock
from convload.errors import UsageError
from convload.plan.mock_behaviour import EARLIER, Behaviour, flag_of

DEADLINE_S = 10.0
CREATE = "/api/account/77/messaging/consumer/conversation?v=3"


def test_every_setting_is_an_option_with_its_help() -> None:
    told = CliRunner().invoke(mock, ["--help"], terminal_width=400).output

    for field in msgspec.structs.fields(Behaviour):
        assert (f"{flag_of(field.name)} " in told) == (field.name not in EARLIER)
    assert "convload mock --tls" in told
    assert "--until-stdin-closes" not in told


@pytest.mark.parametrize(
    ("flags", "problems"),
    [
        (
            ["--degrade", "-1", "--reset-share", "2", "--http-5xx-status", "200"],
            ("--degrade: ", "--reset-share: ", "--http-5xx-status: "),
        ),
        (
            ["--servers", "4", "--delay-ms", "3", "--shed", "503", "--stall-every", "1s"],
            ("--service-time: is needed", "--delay-ms: ", "--shed: needs a queue", "--stall-every: needs stall_for"),
        ),
        (
            ["--servers", "4", "--service-time", "uniform(1ms)", "--retry-after", "1", "--degrade", "-1"],
            ("--service-time: 'uniform(1ms)' is no service time", "--retry-after: '1' is no duration", "--degrade: "),
        ),
        (["--reset-share", "0.7", "--bad-json-share", "0.7"], ("the shares of faults add up to 1.4",)),
    ],
)
def test_all_wrong_flags_are_told_at_once(flags: list[str], problems: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        mock.main(flags, standalone_mode=False)

    assert len(caught.value.problems) == len(problems)
    for start in problems:
        assert any(told.startswith(start) for told in caught.value.problems)


@pytest.mark.parametrize("flags", [["--auth", "maybe"], ["--port", "70000"], ["--no-such-flag"], ["--shed", "500"]])
def test_click_refuses_what_is_no_value_at_all(flags: list[str]) -> None:
    assert CliRunner().invoke(mock, flags).exit_code == 2


def test_flags_reach_the_mock() -> None:
    flags = ["--auth", "off", "--http-429-share", "1", "--account", "77", "--until-stdin-closes"]
    with subprocess.Popen(
        [sys.executable, "-m", "convload.cli", "mock", *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            url = json.loads(child.stdout.readline())["url"]
            with pytest.raises(HTTPError, match="429"):
                urlopen(url + CREATE, b"x")  # noqa: S310 -- the URL is the mock's
            child.stdin.close()

            assert child.wait(DEADLINE_S) == 0
        finally:
            child.kill()


def test_the_capacity_is_told_beside_the_one_line_for_programs() -> None:
    flags = ["--servers", "4", "--service-time", "lognormal(20ms, 0.4)", "--queue", "9", "--shed", "503"]
    command = [sys.executable, "-m", "convload.cli", "mock", *flags, "--retry-after", "1s", "--until-stdin-closes"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stderr is not None
            told = child.stderr.readline()
            out, _ = child.communicate(timeout=DEADLINE_S)

            assert told.startswith("capacity: 184.623 creates/s (exact); M/G/4/13, service lognormal(20ms, 0.4)")
            assert json.loads(out).keys() == {"url", "pid"}
        finally:
            child.kill()


def test_both_ports_are_in_the_line() -> None:
    command = [sys.executable, "-m", "convload.cli", "mock", "--tls-port", "0", "--until-stdin-closes"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    line = json.loads(done.stdout)

    assert line.keys() == {"url", "pid", "ca_file", "tls_url"}
    assert (line["url"][:7], line["tls_url"][:8]) == ("http://", "https://")


def test_a_signal_ends_the_verb_with_0() -> None:
    with subprocess.Popen([sys.executable, "-m", "convload.cli", "mock"], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert json.loads(child.stdout.readline())["pid"] == child.pid
            child.send_signal(signal.SIGINT)

            assert child.wait(DEADLINE_S) == 0
        finally:
            child.kill()


def test_the_verb_imports_the_server_only_when_it_runs() -> None:
    code = "import sys, convload.cli.mock; sys.exit(bool({'uvloop', 'httptools', 'gevent'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_flag_of_an_earlier_version_works_and_says_what_to_write() -> None:
    command = [sys.executable, "-m", "convload.cli", "mock", "--delay-ms", "3", "--until-stdin-closes"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True, timeout=DEADLINE_S)

    assert "url" in json.loads(done.stdout)
    assert done.stderr == (
        "convload: note: --delay-ms: read for one more version; write --service-time 'constant(3ms)'\n"
    )
