"""Decides for each create request how long it takes and what goes wrong; a pure function of seed and number."""

from bisect import bisect_right
from itertools import accumulate

import msgspec

from convload.plan.mock_behaviour import FAULT_SHARES, Behaviour

NO_FAULT = ""
HTTP_4XX, HTTP_429, HTTP_5XX, RESET, BAD_JSON, MISSING_ID, SWAPPED_IDS = FAULTS = tuple(
    name.removesuffix("_share") for name in FAULT_SHARES
)
INSTEAD = frozenset({HTTP_4XX, HTTP_429, HTTP_5XX, RESET})
"""Faults that come in place of the work: the request is not even looked at, so nothing is created."""

_MASK = 2**64 - 1


class Fate(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one create request: one of FAULTS or none, after a service time."""

    fault: str = NO_FAULT
    delay_s: float = 0.0


class Faults:
    """Draws the fate of each create request."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._bounds = list(accumulate(getattr(behaviour, name) for name in FAULT_SHARES))
        self._fault_key = _mix(2 * behaviour.seed)
        self._delay_key = _mix(2 * behaviour.seed + 1)
        self._service = behaviour.service if behaviour.service_time else None
        self._queues = bool(behaviour.servers)
        self.idle = not (self._bounds[-1] or (self._service and not self._queues))
        """Whether every fate is the same: no fault, no delay."""

    def draw(self, number: int) -> Fate:
        """Returns the fate of the `number`-th create request."""
        position = bisect_right(self._bounds, _uniform(self._fault_key, number))
        fault = FAULTS[position] if position < len(FAULTS) else NO_FAULT
        return Fate(fault, 0.0 if self._queues else self.service_s(number))

    def service_s(self, number: int) -> float:
        """Returns the service time of the `number`-th create request."""
        return 0.0 if self._service is None else self._service.quantile_s(_uniform(self._delay_key, number))


def _uniform(key: int, number: int) -> float:
    """Returns a number strictly between 0 and 1."""
    return ((_mix(key + number) >> 12) + 0.5) * 2.0**-52


def _mix(state: int) -> int:
    """Returns 64 bits that depend on every bit of `state`: the output function of SplitMix64 (Steele 2014)."""
    bits = state * 0x9E3779B97F4A7C15 & _MASK
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31
