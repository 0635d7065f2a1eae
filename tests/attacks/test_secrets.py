"""Nothing that a run was given or issued as a secret is in what it keeps or shows, whatever the target does with it."""

import base64
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from tests.conftest import Cli, Done, intervals_of, processes_of, summary_of, wait_for

MARKS = {
    "CONVLOAD_CLIENT_ID": "1d-OF-the-app-qzx/81",
    "CONVLOAD_CLIENT_SECRET": 'secr3t"OF+the app\\qzx=82',
}
FIXED = {
    "CONVLOAD_AUTHORIZATION": "Bearer OPAQUE/authorization+qzx83==",
    "CONVLOAD_ON_BEHALF": "OPAQUE-on-behalf-qzx84+/=",
}
APP_TOKEN, CONSUMER_TOKEN = "issued-app-token+qzx85/==", "issued-consumer-token-qzx86+/="
ALL = [*MARKS.values(), *FIXED.values(), "OPAQUE/authorization+qzx83==", APP_TOKEN, CONSUMER_TOKEN]


def forms_of(value: str) -> list[str]:
    raw = value.encode()
    shifted = [base64.b64encode(b"x" * n + raw).decode()[4:-4] for n in range(3)]
    return [value, quote(value, safe=""), json.dumps(value)[1:-1], *shifted]


def echo_of(values: tuple[str, ...]) -> str:
    plain = [form for value in values for form in forms_of(value)[:3]]
    return " | ".join([*plain, *(base64.b64encode(value.encode()).decode() for value in values)])


class Echo(BaseHTTPRequestHandler):
    """Issues tokens, and answers everything else with all that it was ever told."""

    protocol_version = "HTTP/1.1"
    told: tuple[str, ...] = (*MARKS.values(), APP_TOKEN, CONSUMER_TOKEN)
    refuses_app = False
    answers = 0

    def do_GET(self) -> None:
        self._echo(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "/app/token" in self.path and not self.refuses_app:
            self._answer(200, json.dumps({"access_token": APP_TOKEN, "token_type": "Bearer", "expires_in": 3600}))
        elif self.path.split("?")[0].endswith("/consumer"):
            self._answer(200, json.dumps({"token": CONSUMER_TOKEN}))
        else:
            Echo.answers += 1
            self._echo([302, 400, 401, 500, 200][Echo.answers % 5])

    def _echo(self, status: int) -> None:
        said = echo_of(self.told)
        element = {"code": 400, "body": {"msg": said}, "reqId": said}
        self._answer(status, json.dumps([element] if Echo.answers % 2 else said), said.encode().decode("latin-1"))

    def _answer(self, status: int, body: str, said: str = "") -> None:
        self.send_response(status, said[:300] or "OK")
        for name in ("Location", "X-Echo") if said else ():
            self.send_header(name, said)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(handler: type[Echo]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def found_in(text: str) -> list[str]:
    return [form for value in ALL for form in forms_of(value) if form in text] + re.findall(r"qzx8\d", text)


def watched(cli: Cli, *arguments: str, environment: dict[str, str]) -> tuple[Done, str]:
    """Returns what a command ended with, and the command lines of all its processes while it ran."""
    process = cli.start(*arguments, environment=environment)
    lines, ended = set[str](), threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            try:
                children = psutil.Process(process.pid).children(recursive=True)
                lines.update(" ".join(one.cmdline()) for one in [psutil.Process(process.pid), *children])
            except psutil.Error:
                continue

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        out, err = process.communicate(timeout=90)
    finally:
        ended.set()
        watching.join()
    return Done(process.returncode, out, err), "\n".join(lines)


class EchoOfFixed(Echo):
    """Knows what a run without tokens of its own sends."""

    told = tuple(FIXED.values())


class Refusing(Echo):
    """Issues nothing."""

    refuses_app = True
    told = tuple(MARKS.values())


@pytest.mark.parametrize(("consumers", "given", "server"), [("close", MARKS, Echo), ("none", FIXED, EchoOfFixed)])
def test_a_target_that_echoes_all_secrets_finds_them_nowhere(
    cli: Cli, tmp_path: Path, consumers: str, given: dict[str, str], server: type[Echo]
) -> None:
    crashes = tmp_path / "tmp"
    crashes.mkdir()
    load = ("--users", "3", "--think", "constant 50ms", "--duration", "3s", "--warmup", "0s", "--consumers", consumers)
    with serving(server) as url:
        done, lines = watched(
            cli, "run", "--target", url, *load, "--out", "out", environment=given | {"TMPDIR": str(crashes)}
        )

    kept = {path.name: path.read_text(errors="replace") for path in (cli.folder / "out").iterdir()}
    assert "[token]" in kept["run.jsonl"], done
    assert {name: found_in(text) for name, text in kept.items() if found_in(text)} == {}
    assert found_in(done.out + done.err + lines) == []
    assert [
        path.name for path in crashes.rglob("*") if path.is_file() and found_in(path.read_text(errors="replace"))
    ] == []


def test_a_set_up_that_is_refused_with_an_echo_shows_none_of_it(cli: Cli) -> None:
    with serving(Refusing) as url:
        done, lines = watched(cli, "run", "--target", url, "--out", "out", environment=MARKS)

    assert done.code == 4, done
    assert found_in(done.out + done.err + lines) == []


UNCHECKED = "certificates are not checked (verify_tls = false): whoever answers is believed"
IN_REPORTS = ("summary.json", "report.html", "summary.md", "junit.xml", "metrics.txt")


def lacking(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Returns which files do not say that certificates were not checked; Markdown has backslashes in it."""
    return [name for name in names if UNCHECKED not in (folder / name).read_text().replace("\\", "")]


def test_certificates_that_are_not_checked_are_told_in_words_and_in_every_report(cli: Cli) -> None:
    (cli.folder / "plan.toml").write_text("verify_tls = false\nduration = '1s'\nwarmup = '0s'\nusers = 1\n")

    done = cli("run", "plan.toml", "--out", "out")

    assert f"convload: warning: {UNCHECKED}" in done.err
    assert UNCHECKED in " ".join(done.out.split())
    assert lacking(cli.folder / "out", IN_REPORTS) == []


def test_a_search_tells_that_certificates_are_not_checked(cli: Cli) -> None:
    flags = ("--budget", "2s", "--start", "20", "--no-overload", "--consumers", "none", "--out", "out")
    done = cli("capacity", "smoke", *flags, environment={"CONVLOAD_VERIFY_TLS": "false"})

    assert f"convload: warning: {UNCHECKED}" in done.err
    assert UNCHECKED in " ".join(done.out.split()), done
    assert lacking(cli.folder / "out", ("capacity.json", "capacity.md", "report.html")) == []


@pytest.mark.parametrize("environment", [{}, {"GITHUB_ACTIONS": "true"}], ids=["terminal", "GitHub"])
def test_no_text_of_a_plan_is_a_line_of_its_own_on_standard_error(cli: Cli, environment: dict[str, str]) -> None:
    (cli.folder / "a\n::error::b.toml").write_text("target = 'x\\n::error::c'\n")

    named = [("--name", "x\n::error::d"), ("a\n::error::b.toml",), ("--replay", "n\n::error::e"), ("o\n::error::f",)]
    for arguments in named:
        done = cli("run", "--dry-run", *arguments, environment=environment)
        assert done.code == 2, done
        assert not [line for line in done.err.splitlines() if line.startswith("::")], done


def test_no_process_of_a_run_has_a_secret_in_its_environment(cli: Cli) -> None:
    """The user's own command has them, as he gave them; its children get what they need by a pipe."""
    process = cli.start("run", "--rate", "20", "--duration", "20s", "--warmup", "0s", "--out", "out", environment=MARKS)
    modules = ("convload.mock", "convload.load.processes.coordinator", "convload.load.processes.worker")
    wait_for(lambda: intervals_of(cli.folder / "out"), "a second of the run")

    for module in modules:
        (child,) = processes_of(process.pid, module)
        environment = child.environ()
        assert environment["PATH"]
        assert not {name for name, value in environment.items() if any(mark in value for mark in MARKS.values())}

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    errors = summary_of(cli.folder / "out")["steps"]["conversation.create"]["errors"]
    assert errors == {}  # the mock and the worker do know them
