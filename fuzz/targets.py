"""What is fuzzed: each target takes bytes and raises nothing but what its reader promises for bad input.

A target returns a few words on what became of the input; inputs with new words join the pool that is mutated.
"""

import asyncio
import atexit
import contextlib
import functools
import hashlib
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

from convload.errors import ConvloadError

Target = Callable[[bytes], str]

FOLDER = Path(__file__).parent / "corpus"
HUNG_S = 5.0
LONG_ENOUGH_S = 0.5


class BrokenPromiseError(Exception):
    """A target took an input in a way that it must not."""


def plan_files() -> Target:
    """A plan file, up to what a dry run says of it."""
    from convload.plan.needs import needs_of
    from convload.plan.plan import assemble
    from convload.run.dry_run import describe
    from convload.run.files import Inputs

    path = _scratch() / "plan.toml"

    def read(data: bytes) -> str:
        path.write_bytes(data)
        plan = assemble(path, {}, {})
        if plan.replay or plan.gates_file:
            return "names another file"
        needs_of(plan, "")
        return describe(plan, Inputs({}, "", "", ""))[0]

    return read


def credentials_files() -> Target:
    """A file of credentials; no message may quote it."""
    from convload.load.client.credentials import read as read_credentials

    path = _scratch() / "credentials.toml"
    path.touch(mode=0o600)

    def read(data: bytes) -> str:
        path.write_bytes(data)
        try:
            return repr(read_credentials(str(path), {}))
        except ConvloadError as error:
            unquoted = "must be TOML with the keys client_id and client_secret", "it is no UTF-8 text"
            if not str(error).partition(", from line ")[0].endswith(unquoted):
                raise BrokenPromiseError(str(error)) from None
            raise

    return read


def payload_files() -> Target:
    """A folder of payload files, each behind a line `=== path`, up to the payloads that are built from it."""
    from convload.payloads.builder import Builder
    from convload.payloads.catalogue import survey

    def read(data: bytes) -> str:
        text = data.decode("utf-8", "replace")
        parts = (part.partition("\n") for part in ("\n" + text).split("\n=== ")[1:])
        catalogue, problems = survey({path: body for path, _, body in parts}, "payloads")
        for mix in catalogue.mixes if not problems else ():
            for index in range(5):
                Builder(catalogue, mix).build(index)
        return problems[0] if problems else f"sound {len(catalogue.variants)}"

    return read


def gates() -> Target:
    """A gate of a plan or of --gate; what is read must be written so that it reads the same."""
    from convload.plan.gate import write
    from convload.plan.gate_grammar import GateTextError, parse

    def read(data: bytes) -> str:
        text = data.decode("utf-8", "replace")
        try:
            gate = parse(text)
        except GateTextError as error:
            return str(error)
        again = parse(write(gate))
        if write(again) != write(gate):
            raise BrokenPromiseError(f"{write(gate)} reads as {write(again)}")
        return gate.subject.measure

    return read


def run_logs() -> Target:
    """A run log, up to every report that is made from it."""
    from convload.comparison.conclusion import conclude
    from convload.report.folder import REPORTS
    from convload.results import runlog

    path = _scratch() / runlog.FILE_NAME

    def read(data: bytes) -> str:
        path.write_bytes(data)
        conclusion = conclude(runlog.read(path))
        for render in REPORTS.values():
            render(conclusion).encode()
        return f"{conclusion.verdict.outcome} {conclusion.verdict.reasons[:1]}"

    return read


def comparisons() -> Target:
    """A run log that is compared with a sound one by force, and followed in a history beside it."""
    from convload.comparison.compare import compare
    from convload.comparison.history import follow
    from convload.comparison.sides import read_side
    from convload.report import history, html, markdown
    from convload.report.comparison import document, github_report
    from convload.report.data_files import render_json

    base, new = (_scratch() / name for name in ("base", "new"))
    for folder in (base, new):
        folder.mkdir()
    (base / "run.jsonl").write_bytes((FOLDER / "runlogs" / "closed").read_bytes())

    def read(data: bytes) -> str:
        (new / "run.jsonl").write_bytes(data)
        found = compare(read_side([base]), read_side([new]), force=True)
        render_json(found)
        github_report(found)
        markdown.render(document(found))
        html.render(history.document(follow(_scratch())))
        return f"{found.outcome} {found.text}"

    return read


def baselines() -> Target:
    """What `baseline save` keeps of a run, up to what a manifest keeps of it."""
    from convload.judging.baseline import freeze, likeness, load
    from convload.plan.gate_grammar import parse

    path = _scratch() / "baseline.json"
    asked = [parse("create.p99 < baseline * 1.1"), parse("errors < baseline + 1%"), parse("rate > baseline * 0.9")]

    def read(data: bytes) -> str:
        path.write_bytes(data)
        baseline = load(path)
        found = likeness(baseline.identity, baseline.identity)
        freeze(baseline, asked, [one.sentence("in the baseline", "here") for one in found.unlike], str(path))
        return f"{found.notes}"

    return read


def recorded_times() -> Target:
    """A replay file; a file of service times for the mock; a ceiling that the doctor saved."""
    from convload.plan.service_times import read_empirical
    from convload.plan.stages import parse_replay
    from convload.run import ceiling

    path = _scratch() / "times"

    def read(data: bytes) -> str:
        path.write_bytes(data)
        said = []
        for reader in (read_empirical, ceiling.read):
            try:
                said.append(type(reader(path)).__name__)
            except ValueError as error:  # as both promise
                said.append(str(error))
        ceiling.known(path, ceiling.here(), 1)
        starts = parse_replay(data.decode("utf-8", "replace"), "replay")
        return f"{said} {len(starts.times_s)}"

    return read


def control_frames() -> Target:
    """A message of the channel between coordinator and workers: the frame, and our message within it."""
    import msgspec

    from convload.load.processes import messages
    from convload.load.processes.channel import OURS, _read, _UnreadableError
    from convload.load.processes.intake import Intake

    to_worker = msgspec.json.Decoder(messages.ToWorker)
    intake = Intake()

    def read(data: bytes) -> str:
        node, _, frame = data.partition(b"\n")
        try:
            message = _read([node, frame])[1]
        except _UnreadableError as error:
            return str(error)
        said: str = message.type
        if not said.startswith(OURS):
            return said
        said += type(intake.read(message.data, is_of_worker=True)).__name__
        with contextlib.suppress(ValueError, RecursionError):
            said += type(to_worker.decode(message.data or b"")).__name__
        return said

    return read


def intervals() -> Target:
    """An interval of an admitted worker: what the coordinator takes into the run log can be reported."""
    from convload.comparison.conclusion import conclude
    from convload.load.processes.intake import Intake
    from convload.load.processes.messages import Measured
    from convload.report.folder import REPORTS
    from convload.results import runlog
    from convload.results.merging import merge

    path = _scratch() / "intervals.jsonl"
    before, _, after = (FOLDER / "runlogs" / "closed").read_bytes().partition(b'{"record":"interval"')
    ended = after.splitlines(keepends=True)[-1]

    def read(data: bytes) -> str:
        message = Intake().read(data, is_of_worker=True)
        interval = Intake().take(message, 0, 10.0) if isinstance(message, Measured) else None
        if interval is None:
            return f"{type(message).__name__} is not taken"
        path.write_bytes(before + _encoded(merge([interval])) + b"\n" + ended)
        try:
            conclusion = conclude(runlog.read(path))
            for render in REPORTS.values():
                render(conclusion)
        except ConvloadError as error:
            raise BrokenPromiseError(str(error)) from error
        return f"{conclusion.verdict.outcome} {conclusion.verdict.reasons[:1]}"

    return read


def http_answers() -> Target:
    """What a server answers: the client's parser, and the checks of what it has read. Blocks end with `===CUT===`."""
    import gevent
    from gevent import socket as green
    from gevent.server import StreamServer

    from convload.contract import answers
    from convload.load.client.http import Client, Limits
    from convload.load.client.origin import Origin
    from convload.load.client.reading import read as read_answer

    answer = b""

    def serve(sock: green.socket, _: object) -> None:
        with contextlib.suppress(OSError):
            sock.recv(4096)
            for piece in answer.split(b"===CUT==="):
                sock.sendall(piece)
                gevent.sleep(0)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(4096)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    origin = Origin(f"http://127.0.0.1:{server.server_port}")
    request = origin.head("GET", "/", {}) + b"\r\n"
    limits = Limits(timeout_s=LONG_ENOUGH_S, max_head_bytes=4096, max_body_bytes=16_384)
    readers = answers.read_app_token, answers.read_consumer_token, answers.read_domains

    def read(data: bytes) -> str:
        nonlocal answer
        answer = data
        client = Client(origin, limits)
        try:
            found = client.exchange(request)
            if bool(found.failure) == bool(found.status) or len(found.body) > limits.max_body_bytes:
                raise BrokenPromiseError(f"status {found.status}, failure {found.failure!r}, {len(found.body)} bytes")
            checked = read_answer(found, client, functools.partial(answers.check_create, ["1", "2"]))
            answers.check_send("1", found.status, found.body)
            for reader in readers:
                reader(found.status, found.body)
            return f"{found.failure} {found.detail} {found.status} {checked.outcome} {checked.detail}"
        finally:
            client.close()

    return read


def http_requests() -> Target:
    """What a client sends to the mock, on a socket, in one piece or cut at `===CUT===`."""
    import uvloop

    from convload.mock.connection import Connection
    from convload.mock.server import make_site
    from convload.plan.mock_behaviour import Behaviour

    loop = uvloop.new_event_loop()
    failures: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    behaviours = Behaviour(auth=False), Behaviour()
    sites = [make_site(one, None, loop)[1] for one in behaviours]

    async def converse(data: bytes, site: object) -> bytes:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            await loop.connect_accepted_socket(lambda: Connection(site, tls=False), theirs)  # type: ignore[arg-type]
            with contextlib.suppress(OSError):
                for piece in data.split(b"===CUT==="):
                    await loop.sock_sendall(ours, piece)
                    await asyncio.sleep(0)
                ours.shutdown(socket.SHUT_WR)
            said = b""
            with contextlib.suppress(OSError):
                while piece := await loop.sock_recv(ours, 65536):
                    said += piece
            return said

    def read(data: bytes) -> str:
        status = b""
        for site in sites:
            said = loop.run_until_complete(asyncio.wait_for(converse(data, site), HUNG_S))
            if failures or b"HTTP/1.1 500" in said:
                raise BrokenPromiseError(str(failures or said[:200]))
            status += said[9:12] + said[-40:]
        return status.decode("latin-1")

    return read


TARGETS: dict[str, Callable[[], Target]] = {
    "plans": plan_files,
    "credentials": credentials_files,
    "payloads": payload_files,
    "gates": gates,
    "runlogs": run_logs,
    "comparisons": comparisons,
    "baselines": baselines,
    "times": recorded_times,
    "frames": control_frames,
    "intervals": intervals,
    "answers": http_answers,
    "requests": http_requests,
}


def corpus_of(name: str) -> dict[str, bytes]:
    """Returns the kept inputs of a target by their file names: sound ones, and whatever broke once."""
    return {path.name: path.read_bytes() for path in sorted((FOLDER / name).iterdir())}


def keep(name: str, data: bytes) -> Path:
    """Writes an input that broke a target into its corpus."""
    path = FOLDER / name / f"crash-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def current(pid: int) -> Path:
    """Returns where a process keeps the input that it tries, should that end the process."""
    return Path(tempfile.gettempdir()) / f"convload-fuzz-{pid}.input"


def _encoded(record: object) -> bytes:
    import msgspec

    return msgspec.json.encode(record)


@functools.cache
def _scratch() -> Path:
    folder = tempfile.mkdtemp(prefix="convload-fuzz-")
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


__all__ = ["FOLDER", "TARGETS", "BrokenPromiseError", "ConvloadError", "Target", "corpus_of", "current", "keep"]
