"""Sends a run's metrics to OpenTelemetry while it goes on, from a thread that may wait for who takes them."""

import os
import sys
import threading
import time

from convload.errors import UsageError
from convload.live import background
from convload.live.watching import Show
from convload.outputs.otlp import NS, Otlp
from convload.results.progress import Progress

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
DEFAULT_INTERVAL_S = 10.0
"""The standard's is a minute, in which many a run is over."""

LAST_WITHIN_S = 30.0


class Pushing(Show):
    """Sends every few seconds, and a last time when all results are in.

    Raises:
        UsageError: see `Otlp`, or the interval is no number of milliseconds.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress, self._otlp = progress, Otlp()
        self._every_s = _interval_s()
        self._ended = threading.Event()
        self._has_failed = False
        self._thread = background.start(self._push, "--otlp")

    def _push(self) -> None:
        while not self._ended.wait(self._every_s):
            self._send()
        self._send()

    def _send(self) -> None:
        if self._progress.started is not None and not self._otlp.send(self._progress, int(time.time() * NS)):
            if not self._has_failed:
                sys.stderr.write("convload: warning: --otlp: nobody takes the metrics; the run goes on\n")
            self._has_failed = True

    def finish(self) -> None:
        """Lets the last figures go while the reports are made."""
        self._ended.set()

    def close(self) -> None:
        """Waits for them to be sent, not for long."""
        self._ended.set()
        self._thread.join(LAST_WITHIN_S)
        self._otlp.close()


def _interval_s() -> float:
    text = os.environ.get(INTERVAL, "")
    if not text:
        return DEFAULT_INTERVAL_S
    if not text.isdigit() or int(text) == 0:
        raise UsageError(f"{INTERVAL}: {text!r} is no number of milliseconds")
    return int(text) / 1000
