"""Reports what a worker measures, once a second and where the load changes, and how the generator itself does."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import msgspec
import psutil
from gevent.event import Event

from convload.cgroups import Cgroups
from convload.load.processes.silence import SilenceWatch
from convload.load.processes.watch import GeneratorWatch
from convload.load.recorder import Recorder
from convload.load.session import Session
from convload.results.runlog import Interval

INTERVAL_S = 1.0
SHORTEST_S = 0.05
"""Two edges of the load that are closer share an interval."""

LOOK_S = 0.1
"""How often new edges are looked for: a stage that is added begins some 0.3 s later."""

BREATH_S = 0.0005
"""Between two cells of an interval. Not zero: gevent runs greenlets that sleep for nothing one after the other for
up to 5 ms before it looks at sockets and timers again."""

BREATHING_S = 0.2
"""An event loop that is behind makes each breath long; after this the interval is finished at one go."""


class Reporter:
    """One worker's intervals, from its start on.

    An interval ends with each second of the run and where a stage begins or ends, or the run should: counts of requests
    rise evenly within an interval or so it is taken, and what is sent at two rates would be spread over both.

    Args:
        worker: its number.
        recorder: what came of its requests.
        session: what its users share.
        send: where intervals go.
    """

    def __init__(self, worker: int, recorder: Recorder, session: Session, send: Callable[[Interval], None]) -> None:
        self._worker = worker
        self._recorder = recorder
        self._session = session
        self._targets = session.targets
        self._pacing = session.pacing
        self._send = send
        self._watch = GeneratorWatch(self._count_pending, self._count_awaiting)
        self._silences = SilenceWatch(self._count_answered, self._count_awaiting, time.monotonic())
        gevent.spawn(self._silences.look_again_and_again)
        self._process = psutil.Process()
        self._reported_s = recorder.started_s
        self._cgroups = Cgroups()
        self._cpu_s, self._cpu_wait_s, self._throttled_s = _cpu_s(), _cpu_wait_s(), self._cgroups.throttled().seconds
        self._n = 0

    def report_until(self, ended: Event) -> None:
        """Sends intervals until the end; the last one is not among them."""
        edge_s = self._recorder.started_s
        grid_s = edge_s + INTERVAL_S
        while True:
            due_s = self._edge_s(edge_s, grid_s)
            if ended.wait(min(max(due_s - time.monotonic(), 0.0), LOOK_S)):
                return
            if time.monotonic() < due_s:
                continue
            self.report()
            edge_s = due_s
            if due_s >= grid_s:
                grid_s += INTERVAL_S

    def _edge_s(self, after_s: float, grid_s: float) -> float:
        """Returns where the interval ends: at an edge of the load before the full second, if there is one."""
        started_s = self._recorder.started_s
        stages = self._recorder.stages
        starts = (started_s + mark.starts_s for mark in stages)
        ends = (started_s + mark.starts_s + mark.duration_s for mark in stages)
        edges = (*starts, *ends, self._pacing.stop_s)
        inside = [edge for edge in edges if after_s + SHORTEST_S < edge < grid_s - SHORTEST_S]
        return min(inside, default=grid_s)

    def report(self, *, last: bool = False, unsent: int = 0) -> None:
        """Sends one interval; the instants are taken before the cut, so that the next one misses nothing."""
        interval = self._look_around(last=last, unsent=unsent)
        self._n += 1
        hurry_s = time.monotonic() + BREATHING_S
        cells, errors = self._recorder.take(lambda: time.monotonic() < hurry_s and gevent.sleep(BREATH_S))
        recorded, backoffs = self._recorder.creates_recorded, self._recorder.take_backoffs()
        results = {"cells": cells, "errors": errors, "recorded": recorded, "backoffs": backoffs}
        results["samples"] = self._recorder.take_samples()
        self._send(msgspec.structs.replace(interval, **results))

    def _count_pending(self) -> int:
        return sum(target.in_flight for target in self._targets) + self._pacing.backlog

    def _count_awaiting(self) -> int:
        return sum(target.in_flight for target in self._targets) + self._session.preparing

    def _count_answered(self) -> int:
        return sum(target.sent - target.in_flight for target in self._targets)

    def _look_around(self, *, last: bool, unsent: int) -> Interval:
        """Returns an interval that ends now, without its results."""
        from_s, to_s = self._reported_s, max(time.monotonic(), self._reported_s + 1e-6)
        cpu_s, cpu_wait_s, pacing, targets = _cpu_s(), _cpu_wait_s(), self._pacing, self._targets
        cpu_share = round((cpu_s - self._cpu_s) / (to_s - from_s), 4)
        cpu_wait_share = round((cpu_wait_s - self._cpu_wait_s) / (to_s - from_s), 4)
        throttled_s = self._cgroups.throttled().seconds
        throttled_share = round(min((throttled_s - self._throttled_s) / (to_s - from_s), 1.0), 4)
        delays = self._watch.take_delays()
        silence = self._silences.take()
        self._reported_s, self._cpu_s, self._cpu_wait_s, self._throttled_s = to_s, cpu_s, cpu_wait_s, throttled_s
        return Interval(
            worker=self._worker,
            n=self._n,
            from_s=round(from_s - self._recorder.started_s, 6),
            to_s=round(to_s - self._recorder.started_s, 6),
            cells=[],
            users=pacing.in_progress,
            in_flight=sum(target.in_flight for target in targets),
            built=sum(target.payloads.built for target in targets),
            sent=sum(target.sent for target in targets),
            retried=sum(target.retried for target in targets),
            recorded=0,
            cpu_share=cpu_share,
            memory_bytes=self._process.memory_info().rss,
            left_open=sum(target.left_open.count for target in targets),
            last=last,
            offered=pacing.offered,
            unsent=unsent,
            backlog=pacing.backlog,
            pending=self._watch.take_counts(),
            hub_delay_ms=delays.max_us / 1000,
            hub_delays=delays.encode(),
            files_free=files_free(),
            sockets_waiting=sockets_waiting(),
            cpu_wait_share=cpu_wait_share,
            throttled_share=throttled_share,
            awaiting=self._watch.take_awaiting(),
            silent_from_s=round(max(silence.from_s - self._recorder.started_s, 0.0), 3),
            silent_to_s=round(max(silence.to_s - self._recorder.started_s, 0.0), 3),
        )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _cpu_wait_s() -> float:
    """Returns how long the main thread, which is the event loop, could have run and did not; 0 where Linux is silent.

    A process that shares its core with others is behind without ever taking much CPU time itself.
    """
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def files_free() -> int:
    """Returns how many file descriptors this process may still open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - sum(1 for _ in Path("/proc/self/fd").iterdir())


def sockets_waiting() -> int:
    """Returns the sockets of this machine in TIME_WAIT, each of which holds a local port; 0 where it cannot tell."""
    try:
        lines = Path("/proc/net/sockstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    words = next((line.split() for line in lines if line.startswith("TCP:")), [])
    return int(words[words.index("tw") + 1]) if "tw" in words else 0
