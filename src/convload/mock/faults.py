"""What goes wrong with a request and how long it takes: a pure function of seed and number."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import msgspec

from convload.contract.answers import INVALID_APP_TOKEN, Refusal, refusal_of
from convload.mock.messages import Reply
from convload.mock.replies import BAD_REQUEST, FIRST_REFUSAL, NOT_AUTHORISED, refused
from convload.plan.mock_behaviour import FAULT_SHARES, FAULT_STEPS, Behaviour, fault_steps_of

NO_FAULT = ""
FAULTS = tuple(name.removesuffix("_share") for name in FAULT_SHARES)
HTTP_4XX, HTTP_429, HTTP_5XX, RESET, BAD_JSON, MISSING_ID, SWAPPED_IDS, DONE_STATUS, DONE_RESET, DONE_STALL = FAULTS

_MASK = 2**64 - 1
_STEP_BITS = 40
"""How far the numbers of two steps lie apart; no step has as many requests."""


class Faults:
    """Draws what goes wrong with each request, does it, and counts it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._bounds = list(accumulate(getattr(behaviour, name) for name in FAULT_SHARES))
        self._key, self._delay_key = _mix(2 * behaviour.seed), _mix(2 * behaviour.seed + 1)
        self._steps = fault_steps_of(behaviour.fault_steps) if self._bounds[-1] else {}
        self._service = behaviour.service if behaviour.service_time else None
        self._instead = _replies_instead(behaviour)
        self._done_status = behaviour.done_status
        self.counts: Counter[str] = Counter()

    def meets(self, step: str) -> bool:
        """Says whether anything can go wrong with the requests of a step."""
        return self._steps.get(step, 0.0) > 0

    def draw(self, step: str, number: int) -> str:
        """Returns the fault of the `number`-th request of a step: one of FAULTS or none."""
        part = self._steps.get(step)
        if not part:
            return NO_FAULT
        key = self._key + (FAULT_STEPS.index(step) << _STEP_BITS)
        position = bisect_right(self._bounds, _uniform(key, number) / part)
        return FAULTS[position] if position < len(FAULTS) else NO_FAULT

    def service_s(self, number: int) -> float:
        """Returns the service time of the `number`-th create request."""
        return 0.0 if self._service is None else self._service.quantile_s(_uniform(self._delay_key, number))

    def answer(self, step: str, number: int, work: Callable[[], Reply]) -> Reply:
        """Answers the `number`-th request of a step, whose work may be left out or answered wrongly.

        What nobody could see is not counted: a wrong answer in place of a refusal, an id that is not there.
        """
        fault = self.draw(step, number)
        if fault in self._instead:
            reply = self._instead[fault]
        else:
            done = work()
            reply = done if not fault or done.status >= FIRST_REFUSAL else self._spoil(done, fault)
            if reply is done:
                return done
        self.counts[fault if step == FAULT_STEPS[0] else f"{step}.{fault}"] += 1
        return reply

    def _spoil(self, reply: Reply, fault: str) -> Reply:
        """Returns what a fault makes of the answer to work that is done; the same answer where it changes nothing."""
        if fault == DONE_STATUS:
            return _with_status(reply, self._done_status)
        if fault in {DONE_RESET, DONE_STALL}:
            return msgspec.structs.replace(reply, resets=fault == DONE_RESET, stalls=fault == DONE_STALL)
        if fault == BAD_JSON:
            return msgspec.structs.replace(reply, body=reply.body[: len(reply.body) // 2])
        body = msgspec.json.encode(_with_wrong_ids(msgspec.json.decode(reply.body), fault))
        return reply if body == reply.body else msgspec.structs.replace(reply, body=body)


def _with_wrong_ids(answer: Any, fault: str) -> Any:
    """Takes the `conversationId` out of the answer to a create, or moves each `reqId` one element on."""
    if not isinstance(answer, list):
        return answer
    ids = [element["reqId"] for element in answer]
    for element, reply_id in zip(answer, [*ids[1:], ids[0]], strict=True):
        if fault == SWAPPED_IDS:
            element["reqId"] = reply_id
        else:
            element["body"].pop("conversationId", None)
    return answer


def _with_status(reply: Reply, status: int) -> Reply:
    """Returns the answer under another status; only a 2xx keeps its body."""
    if status < FIRST_REFUSAL:
        return msgspec.structs.replace(reply, status=status)
    headers = b"Location: /elsewhere\r\n" if status < BAD_REQUEST else b""
    return Reply(status, _injected(status).body(), headers=headers, done=True)


def _injected(status: int) -> Refusal:
    return INVALID_APP_TOKEN if status == NOT_AUTHORISED else refusal_of(status, "an injected fault")


def _replies_instead(behaviour: Behaviour) -> dict[str, Reply]:
    """Returns the answers of the faults that come in place of the work: the request is not even looked at."""
    statuses = {HTTP_4XX: behaviour.http_4xx_status, HTTP_429: 429, HTTP_5XX: behaviour.http_5xx_status}
    replies = {fault: refused(_injected(status)) for fault, status in statuses.items()}
    return replies | {RESET: Reply(0, resets=True)}


def _uniform(key: int, number: int) -> float:
    return ((_mix(key + number) >> 12) + 0.5) * 2.0**-52


def _mix(state: int) -> int:
    """Returns 64 bits that depend on every bit of `state`: the output function of SplitMix64 (Steele 2014)."""
    bits = state * 0x9E3779B97F4A7C15 & _MASK
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & _MASK
    return bits ^ bits >> 31
