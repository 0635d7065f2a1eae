"""What many workers cost the coordinator: `python -m bench.coordinator_load SECONDS WORKERS [LOG]`.

The real coordinator, in this process, receives intervals over Locust's encrypted channel, adds them up and writes the
run log; a second process sends them, a socket for each worker, those of a second within a fifth of it. They are made:
an open load of seven variants, 56 requests a worker and second. Prints one JSON object.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import msgspec
import numpy as np
import psutil
from bench.reading import SEED, cell, interval, manifest_of
from locust.rpc import protocol
from zmq.constants import ContextOption, SocketOption, SocketType
from zmq.sugar.context import Context

from convload import __version__, bundled
from convload.load.processes.channel import secure
from convload.load.processes.coordinator import Coordinator
from convload.load.processes.keys import new_key, pair
from convload.load.processes.line import Line
from convload.load.processes.messages import CHANNEL, Hello, Job, Measured, Setup
from convload.plan.plan import assemble
from convload.results import runlog

VARIANTS, REQUESTS = 7, 8
POOL = 40
SPREAD_S = 0.2
"""A worker takes up to so long to count a second, so that it disturbs no request."""

SETTLE_S = 3.0
POLL_S = 0.01


def main() -> None:
    """Receives; or sends, as the child that it starts."""
    if sys.argv[1] == "send":
        send(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
        return
    with tempfile.TemporaryDirectory() as folder:
        log = Path(sys.argv[3] if len(sys.argv) > len(["-", "seconds", "workers"]) else folder, runlog.FILE_NAME)
        print(json.dumps(receive(int(sys.argv[1]), int(sys.argv[2]), log)))


def receive(seconds: int, workers: int, log: Path) -> dict[str, float]:
    """Returns what the coordinator took, by how much its loop was late, and what it has written."""
    log.write_bytes(msgspec.json.encode(manifest_of(seconds, workers)) + b"\n")
    key = new_key()
    secure(key)
    coordinator = Coordinator(Job(_setup(workers), str(log), key, [], float(seconds)))
    started_s = time.monotonic() + SETTLE_S + workers / 200
    # What `run` does when all have come, without their set-up and clocks.
    coordinator._started_s, coordinator._merger.workers = started_s, workers  # noqa: SLF001 -- as said
    command = [sys.executable, "-m", "bench.coordinator_load", "send", str(seconds), str(workers)]
    with subprocess.Popen([*command, str(coordinator.port), str(started_s)], stdin=subprocess.PIPE) as sender:
        assert sender.stdin is not None
        sender.stdin.write(key.encode())
        sender.stdin.close()
        gevent.sleep(started_s - time.monotonic())
        cpu_s, late_ms = time.process_time(), list(_lateness_ms(seconds + 1.0))
        while sender.poll() is None or not _is_quiet():
            gevent.sleep(POLL_S)
    share = (time.process_time() - cpu_s) / seconds
    coordinator._merger.flush(0.0)  # noqa: SLF001 -- as above
    coordinator.quit()
    lines = [line for line in log.read_bytes().splitlines() if b'"together"' in line]
    written = sum(len(one.intervals()) for one in (msgspec.json.decode(line, type=runlog.Together) for line in lines))
    late = np.percentile(late_ms, [50, 99, 100]).round(2).tolist()
    memory = psutil.Process().memory_info().rss
    facts = {"cpu_share": share, "late_p50_ms": late[0], "late_p99_ms": late[1], "late_max_ms": late[2]}
    return facts | {"memory_mb": memory / 1e6, "written": written, "records": len(lines), "bytes": sum(map(len, lines))}


def _is_quiet() -> bool:
    """Says whether there was nothing to do for a while: what was sent has been taken."""
    cpu_s = time.process_time()
    gevent.sleep(SETTLE_S)
    return time.process_time() - cpu_s < SETTLE_S / 20


def _lateness_ms(seconds: float) -> Iterator[float]:
    """Yields by how much the event loop came late to a sleeper, a hundred times a second."""
    ends_s = time.monotonic() + seconds
    while (due_s := time.monotonic() + POLL_S) < ends_s:
        gevent.sleep(POLL_S)
        yield 1000 * (time.monotonic() - due_s)


def _setup(workers: int) -> Setup:
    locustfile = (bundled.folder("locustfiles") / "create_conversation.py").read_text()
    plan = msgspec.to_builtins(assemble(None, {}, {"rate": 1000, "consumers": "none"}))
    return Setup(
        plan=plan,
        worker=0,
        workers=workers,
        run_id="bench",
        target="http://127.0.0.1:9",
        payload_files={},
        locustfile=locustfile,
    )


def send(seconds: int, workers: int, port: int, started_s: float) -> None:
    """Sends an interval of each worker every second."""
    context, key, rng = Context(), bytes.fromhex(sys.stdin.read()), np.random.default_rng(SEED)
    context.set(ContextOption.MAX_SOCKETS, 2 * workers)
    lines = [_join(context, worker, port, key) for worker in range(workers)]
    pool = [Measured.of(interval(rng, 0, 0, _cells(rng))) for _ in range(POOL)]
    for n in range(seconds):
        for worker, line in enumerate(lines):
            measured = pool[int(rng.integers(POOL))]
            own = interval(rng, worker, n, [], n == seconds - 1)
            time.sleep(max(started_s + n + 1 + SPREAD_S * worker / workers - time.monotonic(), 0.0))
            line.send(msgspec.structs.replace(measured, interval=own).encode())
    context.destroy(linger=int(SETTLE_S * 1000))


def _cells(rng: np.random.Generator) -> list[Any]:
    return [cell(rng, f"variant_{number}", REQUESTS) for number in range(VARIANTS)]


def _join(context: Any, worker: int, port: int, key: bytes) -> Line:
    sock = context.socket(SocketType.DEALER)
    sock.setsockopt(SocketOption.IDENTITY, b"worker-%d" % worker)
    sock.curve_serverkey = pair(key, b"coordinator")[0]
    sock.curve_publickey, sock.curve_secretkey = pair(key, b"worker")
    sock.connect(f"tcp://127.0.0.1:{port}")
    line = Line(lambda data: sock.send(protocol.Message(CHANNEL, data, f"worker-{worker}").serialize()))
    line.send(Hello(__version__).encode())
    while not line.take(protocol.Message.unserialize(sock.recv()).data):
        pass  # the one message is its set-up, which has its number: they come in turn
    return line


if __name__ == "__main__":
    main()
