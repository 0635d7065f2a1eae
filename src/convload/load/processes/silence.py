"""Tells how long others have been silent."""

import time

GAP_S = 1.0


class Hearing:
    """When each of some others was last heard.

    Time in which this process itself did not run counts for nobody: what they said then is still to be read.
    """

    def __init__(self) -> None:
        self._heard_s: dict[str, float] = {}
        self._looked_s = time.monotonic()

    def heard(self, who: str) -> None:
        """Notes that somebody was heard now."""
        self._heard_s[who] = time.monotonic()

    def look(self) -> None:
        """Notes that this process runs; to be called several times within `GAP_S`."""
        now_s = time.monotonic()
        slept_s, self._looked_s = now_s - self._looked_s, now_s
        if slept_s > GAP_S:
            self._heard_s = {who: heard_s + slept_s for who, heard_s in self._heard_s.items()}

    def silent_s(self, who: str) -> float:
        """Returns for how long somebody has said nothing; 0 for one who was never heard."""
        now_s = time.monotonic()
        return now_s - self._heard_s.get(who, now_s)
