"""What the coordinator makes of messages that are none, over its real socket."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import clean_environment

SENDS = """
import sys
from pathlib import Path

import gevent
from convload import __version__, bundled
from convload.load.processes.channel import secure
from convload.load.processes.coordinator import Coordinator
from convload.load.processes.keys import new_key
from convload.load.processes.messages import CHANNEL, Hello, Job, Setup
from convload.plan.plan import assemble
from locust.rpc.protocol import Message
import msgspec

log, says_hello, data = sys.argv[1], sys.argv[2] == "member", sys.argv[3]
locustfile = (bundled.folder("locustfiles") / "create_conversation.py").read_text()
plan = msgspec.to_builtins(assemble(None, {}, {}))
key = new_key()
sockets = secure(key)
coordinator = Coordinator(Job(Setup(plan, 0, 1, "test", "http://127.0.0.1:9", "", {}, locustfile), log, key, []))
worker = sockets.Client("127.0.0.1", coordinator.port, "one").socket
if says_hello:
    worker.send(Message(CHANNEL, Hello(__version__).encode(), "one").serialize())
worker.send(Message(CHANNEL, {"bytes": data.encode(), "none": None}.get(data, data.encode()), "one").serialize())
worker.send(Message(CHANNEL, Hello(__version__).encode(), "one").serialize())
with gevent.Timeout(20):
    # Each greeting is answered; the last one when all before it was looked at.
    for _ in range(1 + says_hello):
        while b"Setup" not in worker.recv():
            pass
coordinator.quit()
"""

BROKEN = ["bytes", "none", "{", '{"type": "Nothing"}', '{"type": "Measured", "interval": {"worker": "x"}}']


def records_after(log: Path, who: str, data: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", SENDS, str(log), who, data],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("data", BROKEN)
def test_a_message_of_a_worker_that_is_none_is_noted_and_invalidates(tmp_path: Path, data: str) -> None:
    [note] = records_after(tmp_path / "run.jsonl", "member", data)

    assert str(note["text"]).startswith("a message of worker 0 could not be read: ")
    assert note["invalidates"] is True


def test_a_message_of_a_stranger_that_is_none_changes_nothing(tmp_path: Path) -> None:
    assert records_after(tmp_path / "run.jsonl", "stranger", "{") == []
