import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest
import trustme

from convload.errors import TargetError
from convload.mock import process
from convload.mock.process import MockProcess, start_mock
from convload.plan.mock_behaviour import Behaviour

ACCOUNT = "12345678"
BASE = f"/api/account/{ACCOUNT}"
BODY = [
    {"kind": "req", "id": "1,", "type": "userprofile.SetUserProfile", "body": {}},
    {"kind": "req", "id": "2,", "type": "cm.ConsumerRequestConversation", "body": {"brandId": ACCOUNT}},
]
DOMAIN = f"{BASE}/service/idp/baseURI.json?version=1.0"
DEADLINE_S = 10.0
CURL = shutil.which("curl")

Serve = Callable[..., MockProcess]


def wait_until(reached: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline_s
        os.sched_yield()


def ask(mock: MockProcess, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(mock.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=DEADLINE_S)
    raw = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, target, raw, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def read_to_end(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


PARENT = """
import select
import sys
from convload.plan.mock_behaviour import Behaviour
from convload.mock.process import start_mock
with start_mock(Behaviour()) as mock:
    print(mock.pid, flush=True)
    select.select([sys.stdin], [], [], 60)
"""
"""Waits until its standard input ends, which that of a parent that is killed in time does not."""


@pytest.fixture
def bare() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a mock from its module, without what start_mock adds."""
    started: list[subprocess.Popen[bytes]] = []

    def start(serving: str) -> subprocess.Popen[bytes]:
        command, pipe = [sys.executable, "-m", "convload.mock", serving], subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_the_whole_way_works_for_an_independent_client(serve: Serve) -> None:
    mock = serve()
    status, found = ask(mock, "GET", f"{BASE}/service/baseURI.json?version=1.0")
    assert status == 200
    assert {f"http://{entry['baseURI']}" for entry in found["baseURIs"]} == {mock.url}

    form = "grant_type=client_credentials&client_id=app&client_secret=s"
    status, app = ask(mock, "POST", f"/sentinel{BASE}/app/token?v=1.0", form)
    assert status == 200
    status, consumer = ask(
        mock, "POST", f"{BASE}/consumer?v=1.0", {"ext_consumer_id": "Ada"}, Authorization=app["access_token"]
    )
    assert status == 201

    tokens = {"authorization": app["access_token"], "x_lp_on_behalf": consumer["token"]}
    target = f"{BASE}/messaging/consumer/conversation"
    status, created = ask(mock, "POST", f"{target}?v=3", BODY, **tokens)
    assert status == 200
    assert ask(mock, "POST", f"{target}?v=3", BODY, **tokens)[0] == 400

    closing = {
        "id": 1,
        "type": "cm.UpdateConversationField",
        "body": {
            "conversationId": created[1]["body"]["conversationId"],
            "conversationField": {"field": "ConversationStateField", "conversationState": "CLOSE"},
        },
    }
    assert ask(mock, "POST", f"{target}/send?v=3", closing, **tokens)[0] == 200
    assert ask(mock, "POST", f"{target}?v=3", BODY, **tokens)[0] == 200
    assert mock.stats()["conversations"] == {"opened": 2, "closed": 1}


@pytest.mark.skipif(CURL is None, reason="needs curl")
@pytest.mark.parametrize("option", ["--http1.1", "--http1.0", "--http2"])
def test_curl_gets_a_conversation(serve: Serve, option: str) -> None:
    mock = serve(auth=False)
    url = f"{mock.url}{BASE}/messaging/consumer/conversation?v=3"
    command = [str(CURL), "-sS", option, "-w", "%{http_code}", "--data-binary", "@-", url]
    short = subprocess.run(command, check=True, capture_output=True, input=json.dumps(BODY).encode())
    # So long that curl asks before it sends.
    long = subprocess.run(command, check=True, capture_output=True, input=b"[" + b" " * 2_000_000)

    assert json.loads(short.stdout[:-3])[1]["body"]["conversationId"]
    assert (short.stdout[-3:], long.stdout[-3:]) == (b"200", b"413")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with start_mock(Behaviour(auth=False)) as mock:
        assert mock.exit_status() is None
        mock.process.send_signal(number)
        mock.process.wait(DEADLINE_S)

        assert mock.exit_status() == 0


def test_open_connections_and_owed_answers_do_not_hold_it_up(wire: Callable[..., Any]) -> None:
    with start_mock(Behaviour(auth=False, service_time="constant(30000ms)")) as mock:
        quiet, waiting = wire(mock), wire(mock)
        target = f"{BASE}/messaging/consumer/conversation?v=3"
        raw = json.dumps(BODY)
        waiting.send(f"POST {target} HTTP/1.1\r\nHost: m\r\nContent-Length: {len(raw)}\r\n\r\n{raw}".encode())
        wait_until(lambda: mock.stats()["create"]["received"] == 1)
        start_s = time.monotonic()

        assert mock.stop() == 0
        assert time.monotonic() - start_s < 4
        assert quiet.rest() == b""
        assert waiting.rest() == b""


def test_an_answer_that_is_nearly_due_still_goes_out(wire: Callable[..., Any]) -> None:
    with start_mock(Behaviour(auth=False, service_time="constant(400ms)")) as mock:
        waiting = wire(mock)
        target = f"{BASE}/messaging/consumer/conversation?v=3"
        raw = json.dumps(BODY)
        waiting.send(f"POST {target} HTTP/1.1\r\nHost: m\r\nContent-Length: {len(raw)}\r\n\r\n{raw}".encode())
        wait_until(lambda: mock.stats()["create"]["received"] == 1)
        mock.process.terminate()

        assert waiting.answer()[0] == 200
        assert waiting.rest() == b""


def test_nothing_is_left_after_the_context(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    with start_mock(Behaviour(), env=env, tls=True) as mock:
        assert Path(str(mock.ca_file)).parent == tmp_path
        assert psutil.pid_exists(mock.pid)

    assert not psutil.pid_exists(mock.pid)
    assert mock.exit_status() == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_context_fails() -> None:
    found: list[MockProcess] = []
    with suppress(RuntimeError), start_mock(Behaviour()) as mock:
        found.append(mock)
        raise RuntimeError

    assert found[0].exit_status() == 0


def test_it_stops_when_its_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
    finally:
        parent.kill()
        parent.communicate()

    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_busy_mock_is_ended_by_force() -> None:
    with start_mock(Behaviour()) as mock:
        mock.process.send_signal(signal.SIGSTOP)
        start_s = time.monotonic()

        assert mock.stop() == -signal.SIGKILL
        assert process.STOP_TIMEOUT_S <= time.monotonic() - start_s < process.STOP_TIMEOUT_S + 3


def test_a_port_in_use_is_one_clear_line(serve: Serve, bare: Callable[..., subprocess.Popen[bytes]]) -> None:
    port = urlsplit(serve(auth=False).url).port
    out, err = bare(f'{{"port":{port}}}').communicate(timeout=DEADLINE_S)

    assert out == b""
    assert err.decode().count("\n") == 1
    assert f"cannot listen on host 127.0.0.1, port {port}" in err.decode()
    assert "address already in use" in err.decode()


def test_a_mock_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(
            TargetError, match=r"the mock did not start .* exit status is 1\n(?s:.*)No module named"
        ) as caught,
        start_mock(Behaviour(), env={"PYTHONHOME": "/nowhere"}),
    ):
        pass

    assert len(caught.value.problems) > 1


def test_it_prints_one_line_and_has_no_other_output(bare: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = bare("{}")
    assert child.stdout is not None
    line = json.loads(child.stdout.readline())
    child.terminate()
    out, err = child.communicate(timeout=DEADLINE_S)

    assert line.keys() == {"url", "pid"}
    assert line["pid"] == child.pid
    assert (out, err, child.returncode) == (b"", b"", 0)


def test_its_credentials_come_from_its_environment() -> None:
    env = dict(os.environ) | {"CONVLOAD_CLIENT_ID": "app", "CONVLOAD_CLIENT_SECRET": "right"}
    target = f"/sentinel{BASE}/app/token?v=1.0&grant_type=client_credentials&client_id=app"
    with start_mock(Behaviour(), env=env) as mock:
        assert ask(mock, "POST", f"{target}&client_secret=right")[0] == 200
        assert ask(mock, "POST", f"{target}&client_secret=wrong") == (401, {"error": "invalid_client"})


def test_tls_is_verified_by_the_file_it_names(serve: Serve) -> None:
    mock = serve(tls=True, auth=False)
    parts = urlsplit(mock.url)

    assert parts.scheme == "https"
    assert mock.stats()["connections"]["open"] == 1
    stranger = http.client.HTTPSConnection(
        str(parts.hostname), parts.port, timeout=DEADLINE_S, context=ssl.create_default_context()
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/")
    named = http.client.HTTPSConnection(
        "localhost", parts.port, timeout=DEADLINE_S, context=ssl.create_default_context(cafile=mock.ca_file)
    )
    named.request("GET", f"{BASE}/service/idp/baseURI")
    assert json.loads(named.getresponse().read())["baseURI"] == f"localhost:{parts.port}"
    named.close()


@pytest.fixture(scope="module")
def both() -> Iterator[MockProcess]:
    """A mock that serves http and https at once."""
    with start_mock(Behaviour(auth=False), tls_port=0) as mock:
        yield mock


def read_json(url: str, mock: MockProcess) -> Any:
    context = ssl.create_default_context(cafile=mock.ca_file)
    with urlopen(url, context=context if url.startswith("https") else None, timeout=10) as answer:  # noqa: S310 -- ours
        return json.load(answer)


def test_http_and_https_are_served_at_once_by_one_mock(both: MockProcess) -> None:
    assert both.tls_url is not None
    before = both.stats()["domain"]["received"]
    for base in (both.url, both.tls_url):
        read_json(f"{base}{DOMAIN}", both)

    assert (both.url[:5], both.tls_url[:6]) == ("http:", "https:")
    assert both.stats()["domain"]["received"] == before + 2


def test_a_look_up_over_http_leads_to_the_services_over_https(both: MockProcess) -> None:
    found = read_json(f"{both.url}{DOMAIN}", both)["baseURI"]

    assert f"https://{found}" == both.tls_url
    assert read_json(f"https://{found}{DOMAIN}", both)["baseURI"] == found


def test_tls_keeps_the_order_closes_and_resets(serve: Serve, wire: Callable[..., Any]) -> None:
    mock = serve(tls=True, auth=False)
    get = f"GET {BASE}/service/idp/baseURI HTTP/1.1\r\nHost: m\r\n"
    connection = wire(mock).send(f"{get}\r\n{get}Connection: close\r\n\r\n".encode())
    assert connection.statuses(2) == [200, 200]
    assert connection.rest() == b""

    raw = json.dumps(BODY)
    target = f"{BASE}/messaging/consumer/conversation?v=3"
    breaking = wire(serve(tls=True, auth=False, reset_share=1.0))
    breaking.send(f"POST {target} HTTP/1.1\r\nHost: m\r\nContent-Length: {len(raw)}\r\n\r\n{raw}".encode())
    # Below TLS, because Python's ssl module takes a reset for an end of file.
    with socket.socket(fileno=os.dup(breaking.sock.fileno())) as below:
        below.settimeout(DEADLINE_S)
        with pytest.raises(ConnectionResetError):
            read_to_end(below)


def test_a_given_certificate_is_used(bare: Callable[..., subprocess.Popen[bytes]], tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    child = bare(json.dumps({"tls_cert": str(tmp_path / "both.pem")}))
    assert child.stdout is not None
    line = json.loads(child.stdout.readline())

    assert line.keys() == {"url", "pid"}
    assert MockProcess(line["url"], child.pid, str(tmp_path / "ca.pem"), child).stats()["create"]["received"] == 0


@pytest.mark.parametrize(
    ("serving", "told"),
    [
        ('{"tls_cert":"/nowhere.pem"}', "tls certificate /nowhere.pem: No such file"),
        ('{"tls_key":"/nowhere.pem"}', "needs a tls certificate beside it"),
        ('{"host":"nowhere.invalid"}', "cannot listen on host nowhere.invalid, port 0"),
    ],
)
def test_what_cannot_be_served_exits_with_2(
    bare: Callable[..., subprocess.Popen[bytes]], serving: str, told: str
) -> None:
    child = bare(serving)
    _, err = child.communicate(timeout=DEADLINE_S)

    assert child.returncode == 2
    assert told in err.decode()
    assert "Traceback" not in err.decode()


def test_it_listens_on_ipv6(bare: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = bare('{"host":"::1"}')
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        pytest.skip("no IPv6 on this machine")
    url = json.loads(line)["url"]

    assert url.startswith("http://[::1]:")
    assert MockProcess(url, child.pid, None, child).stats()["connections"]["open"] == 1


def test_an_address_for_all_interfaces_is_shown_as_one_that_can_be_reached(
    bare: Callable[..., subprocess.Popen[bytes]],
) -> None:
    child = bare('{"host":"0.0.0.0"}')
    assert child.stdout is not None

    assert json.loads(child.stdout.readline())["url"].startswith("http://127.0.0.1:")


def test_it_allows_as_many_connections_as_the_machine_does(serve: Serve) -> None:
    limits = Path(f"/proc/{serve(auth=False).pid}/limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))

    assert soft == hard


def test_starting_a_mock_needs_neither_uvloop_nor_gevent() -> None:
    code = "import sys, convload.mock.process; sys.exit(bool({'uvloop', 'gevent', 'httptools'} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
