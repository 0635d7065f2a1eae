"""What 500 workers cost the coordinator: `python -m bench.coordinator_load RUN_FOLDER SECONDS`.

The real coordinator, in this process, receives intervals over Locust's channel and writes the run log; a second process
sends them, a socket for each worker. They are copies of the last whole interval of a run. Prints one JSON object.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gevent
import msgspec
from locust.rpc import protocol
from zmq.constants import SocketOption, SocketType
from zmq.sugar.context import Context

from convload import __version__, bundled
from convload.load.processes.channel import secure
from convload.load.processes.coordinator import Coordinator
from convload.load.processes.keys import new_key, pair
from convload.load.processes.line import Line
from convload.load.processes.messages import CHANNEL, Hello, Job, Measured, Setup
from convload.results import runlog
from convload.results.runlog import Interval

WORKERS = 500
SETTLE_S = 1.0
POLL_S = 0.01
TINY_S = 1e-3


def main() -> None:
    """Receives; or sends, as the child that it starts."""
    if sys.argv[1] == "send":
        send(Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
    else:
        print(json.dumps(receive(Path(sys.argv[1]), float(sys.argv[2]))))


def receive(sample: Path, seconds: float) -> dict[str, float]:
    """Returns the CPU share of the coordinator, how many intervals it has written, and the size of one."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "run.jsonl")
        key = new_key()
        secure(key)
        coordinator = Coordinator(Job(_setup(sample), str(log), key, [], seconds))
        command = [sys.executable, "-m", "bench.coordinator_load", "send", str(sample), str(seconds)]
        with subprocess.Popen([*command, str(coordinator.port)], stdin=subprocess.PIPE) as sender:
            assert sender.stdin is not None
            sender.stdin.write(key.encode())
            sender.stdin.close()
            while not log.stat().st_size and sender.poll() is None:
                gevent.sleep(POLL_S)
            cpu_s, began_s = time.process_time(), time.monotonic()
            while sender.poll() is None:
                gevent.sleep(POLL_S)
            share = (time.process_time() - cpu_s) / (time.monotonic() - began_s)
        gevent.sleep(SETTLE_S)
        coordinator.quit()
        lines = log.read_bytes().splitlines()
        return {"cpu_share": share, "written": len(lines), "bytes": len(lines[-1])}


def _setup(sample: Path) -> Setup:
    locustfile = (bundled.folder("locustfiles") / "create_conversation.py").read_text()
    plan = runlog.read(sample).manifest.plan
    return Setup(plan, 0, WORKERS, "bench", "http://127.0.0.1:9", {}, locustfile)


def send(sample: Path, seconds: float, port: int) -> None:
    """Sends an interval of each worker every second, spread over the second as the clocks of workers are."""
    whole = [one for one in runlog.read(sample).records if isinstance(one, Interval) and not one.last]
    context, key = Context(), bytes.fromhex(sys.stdin.read())
    lines = [_join(context, worker, port, key) for worker in range(WORKERS)]
    began_s = time.monotonic() + SETTLE_S
    for number in range(int(seconds * WORKERS)):
        n, worker = divmod(number, WORKERS)
        # The run has not begun by the coordinator's clock, which takes no interval that is still to come.
        interval = msgspec.structs.replace(whole[-1], worker=worker, n=n, from_s=n * TINY_S, to_s=(n + 1) * TINY_S)
        time.sleep(max(began_s + number / WORKERS - time.monotonic(), 0.0))
        lines[worker].send(Measured.of(interval).encode())
    context.destroy(linger=int(SETTLE_S * 1000))


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
