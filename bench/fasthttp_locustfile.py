"""The same work as `convload run --consumers none`, done with Locust's own FastHttpUser, for comparison.

Builds the same payloads, checks each answer in full, and lets Locust count. Writes requests and CPU time of the
measured part to the file named by BENCH_OUT.
"""

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant, events, task

from convload import bundled
from convload.contract import paths
from convload.contract.answers import check_create
from convload.contract.outcomes import OK
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue

ACCOUNT = "12345678"
WARMUP_S = float(os.environ.get("BENCH_WARMUP_S", "1"))

builder = Builder(Catalogue.read(bundled.folder("payloads")), mix="default", account=ACCOUNT, seed=7)
state: dict[str, Any] = {"index": 0, "ok": 0, "from": None}


def used() -> tuple[float, float, int]:
    """Returns wall time, CPU time and requests so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), usage.ru_utime + usage.ru_stime, state["ok"]


class CreateConversation(FastHttpUser):
    """Creates conversations as fast as answers come."""

    wait_time = constant(0)

    @task
    def create(self) -> None:
        """One create request, its answer checked."""
        payload = builder.build(state["index"])
        state["index"] += 1
        with self.client.post(
            paths.create(ACCOUNT),
            data=payload.body,
            headers={"Content-Type": "application/json", **_headers(payload.headers)},
            name="conversation.create",
            catch_response=True,
        ) as response:
            answer = check_create(payload.reply_ids, response.status_code, response.content, payload.expect)
            if answer.outcome == OK:
                response.success()
                state["ok"] += 1
            else:
                response.failure(answer.outcome)
        if state["from"] is None and time.monotonic() - state["began"] > WARMUP_S:
            state["from"] = used()


def _headers(lines: bytes) -> dict[str, str]:
    pairs = (line.split(": ", 1) for line in lines.decode("latin-1").splitlines())
    return dict(pairs)


@events.test_start.add_listener
def _begin(**_: Any) -> None:
    state["began"] = time.monotonic()


@events.test_stop.add_listener
def _end(**_: Any) -> None:
    wall_s, cpu_s, ok = (after - before for after, before in zip(used(), state["from"], strict=True))
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps({"requests": ok, "wall_s": wall_s, "cpu_s": cpu_s}))
