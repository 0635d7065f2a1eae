"""Measures how far the workers' clocks are from the coordinator's, by exchanges of messages."""

import time

from convload.load.processes.messages import Pong


class Clocks:
    """The offset of each worker's clock, from the exchange with the smallest round trip.

    Half the round trip is taken as the way there, so the error is at most half the smallest round trip
    (Cristian, "Probabilistic clock synchronization", 1989).
    """

    def __init__(self) -> None:
        self._best: dict[str, tuple[float, float]] = {}

    def note(self, node: str, pong: Pong) -> None:
        """Takes an answer that has come now."""
        now_s = time.time()
        found = now_s - pong.sent_unix_s, pong.at_unix_s - (pong.sent_unix_s + now_s) / 2
        self._best[node] = min(found, self._best.get(node, found))

    def __len__(self) -> int:
        return len(self._best)

    def offset_s(self, node: str) -> float:
        """Returns how much a worker's clock is ahead; 0 for one that did not answer."""
        return self._best.get(node, (0.0, 0.0))[1]

    def round_trip_s(self) -> float:
        """Returns the longest of the workers' smallest round trips."""
        return max((round_trip_s for round_trip_s, _ in self._best.values()), default=0.0)
