"""What the coordinator takes from workers: read, checked against the run, and counted where it cannot be used."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from convload.errors import RunLogError
from convload.load.processes.messages import Measured, ToCoordinator
from convload.results.histogram import Histogram
from convload.results.runlog import Interval, Note

AHEAD_S = 1.0
"""How far a worker's seconds may be ahead of the coordinator's: clocks are measured to a few milliseconds."""

ROUNDING_S = 2e-6
MOST_NOTES = 1000
"""Of one run; a worker that has more to say is out of order."""

_messages: msgspec.json.Decoder[ToCoordinator] = msgspec.json.Decoder(ToCoordinator)


class Intake:
    """Reads messages and looks whether the intervals in them can be true."""

    def __init__(self) -> None:
        self._last: dict[int, Interval] = {}
        self._faults: Counter[str] = Counter()
        self._unreadable: Counter[bool] = Counter()
        self._notes = 0

    def read(self, data: bytes | None, *, is_of_worker: bool) -> ToCoordinator | None:
        """Returns a message; None where it is none, which is counted: one of a worker is a hole in the results."""
        try:
            return _messages.decode(data or b"")
        except (ValueError, RecursionError):
            self._unreadable[is_of_worker] += 1
            return None

    def take(self, measured: Measured, worker: int, now_s: float) -> Interval | None:
        """Returns the interval in a message if it can be one of this worker's; one that cannot is counted."""
        whole = _read(measured)
        fault = next(self._faults_of(measured.interval, worker, now_s), None if whole else "with a damaged histogram")
        if fault is not None:
            self._faults[f"worker {worker}: {fault}"] += 1
            return None
        self._last[worker] = measured.interval
        return whole

    def takes_note(self) -> bool:
        """Says whether there is room for another note."""
        self._notes += 1
        return self._notes <= MOST_NOTES

    def _faults_of(self, interval: Interval, worker: int, now_s: float) -> Iterator[str]:
        last = self._last.get(worker)
        if interval.worker != worker:
            yield "in another's name"
        if last and interval.n <= last.n:
            yield "out of turn"
        if interval.from_s < (last.to_s if last else 0.0) - ROUNDING_S or interval.to_s <= interval.from_s:
            yield "of a time that was reported before"
        if interval.to_s > now_s + AHEAD_S:
            yield "of a time that is still to come"
        if last and any(getattr(interval, name) < getattr(last, name) for name in ("built", "sent", "recorded")):
            yield "with counts that fall"

    def notes(self, at_s: float, unread: Counter[str], refused: int) -> Iterator[Note]:
        """Yields what the run log must say of all that was dropped, here and by the channel before."""
        if faults := self._faults:
            text = f"{sum(faults.values()):,} intervals that cannot be true were dropped ({_listed(faults)})"
            yield Note(at_s, text, invalidates=True)
        if holes := self._unreadable[True]:
            yield Note(at_s, f"{holes:,} messages of workers could not be read and were dropped", invalidates=True)
        dropped = unread + Counter({"a message of one who is no worker of this run": self._unreadable[False]})
        if dropped:
            yield Note(
                at_s, f"{sum(dropped.values()):,} messages that could not be read were dropped ({_listed(dropped)})"
            )
        if refused:
            yield Note(at_s, f"{refused:,} attempts to connect without the key of this run were refused")
        if self._notes > MOST_NOTES:
            yield Note(at_s, f"{self._notes - MOST_NOTES:,} notes of workers beyond {MOST_NOTES:,} were dropped")


def _read(measured: Measured) -> Interval | None:
    """Returns an interval whose histograms are such: one that is not would make the whole run log unreadable."""
    try:
        for one in measured.interval.backoffs:
            Histogram.decode(one.waited)
        return measured.whole()
    except RunLogError:
        return None


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{what}: {count:,}" for what, count in counts.most_common(5))
