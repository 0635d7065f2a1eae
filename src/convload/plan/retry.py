"""How often and when a create that failed is tried again: the `[retry]` part of a plan, and what follows from it."""

import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from convload.contract.outcomes import RATE_LIMITED
from convload.mistakes import find_mistakes

PolicyName = Literal["none", "fixed", "exponential", "documented"]
NONE: PolicyName = "none"
POLICIES = get_args(PolicyName)

RETRIED, GAVE_UP, NOT_RETRIED, CUT_OFF = FATES = ("retried", "gave_up", "not_retried", "cut_off")
"""What follows a failed attempt: another one; none, because all were made or Retry-After asks for too long a wait;
none, because its outcome is not retried; none, because the run ended first."""

HONOURED, IGNORED = "honoured", "ignored"
"""What became of a Retry-After that an answer carried."""

GROUPS = {"http_5xx": re.compile(r"http_5\d\d"), "connect": re.compile("connect_refused|connect_timeout|dns|tls")}
"""Names in `on` that stand for several outcomes."""

SAFE = ("rate_limited", "http_5xx", "connect")
UNCLEAR = ("read_timeout", "reset", "malformed_http")
"""After these the conversation may exist, and the API refuses a second one of the same consumer."""

DOCUMENTED = ("rate_limited", "http_5xx")
DOCUMENTED_RATE_LIMIT_S = (1.0, 2.0)
"""The vendor asks for at least 1 s and for no bursts; that the waits spread over another second is assumed."""

DOCUMENTED_5XX_S = (5.0, 10.0, 15.0, 120.0, 240.0, 480.0)
"""The vendor asks for three retries after 5, 10 and 15 s, and then for long intervals such as 2, 4, 8 minutes."""

_STATUS = re.compile(r"http_(408|5\d\d)")
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)

Wait = Annotated[float, Meta(ge=0, le=3600)]

_USED_BY: dict[str, tuple[PolicyName, ...]] = {
    "attempts": ("fixed", "exponential", "documented"),
    "on": ("fixed", "exponential", "documented"),
    "honour_retry_after": ("fixed", "exponential", "documented"),
    "max_retry_after_s": ("fixed", "exponential", "documented"),
    "first_wait_s": ("fixed", "exponential"),
    "factor": ("exponential",),
    "max_wait_s": ("exponential",),
    "jitter": ("exponential",),
}


class RetryPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client does about a create that failed; docs/plan.md explains every key.

    `attempts` counts the first one too. `on` and `honour_retry_after` depend on the policy where they are None.
    """

    policy: PolicyName = NONE
    attempts: Annotated[int, Meta(ge=2, le=20)] = 4
    on: list[str] | None = None
    first_wait_s: Wait = 1.0
    factor: Annotated[float, Meta(ge=1, le=10)] = 2.0
    max_wait_s: Wait = 30.0
    jitter: bool = True
    honour_retry_after: bool | None = None
    max_retry_after_s: Wait = 60.0

    def __post_init__(self) -> None:
        problems = [
            f"{key} is for {' and '.join(used_by)}, not for the policy {self.policy}"
            for key, used_by in _USED_BY.items()
            if self.policy not in used_by and getattr(self, key) != _DEFAULTS[key]
        ]
        allowed = (*SAFE, *UNCLEAR, "connect_refused", "connect_timeout", "dns", "tls")
        problems += [
            f"on: {name!r} is not retried; allowed: {', '.join(allowed)}, http_408, http_500 to http_599"
            for name in self.on or []
            if name not in allowed and not _STATUS.fullmatch(name)
        ]
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The outcomes that are retried, and groups of them."""
        if self.on is not None:
            return tuple(self.on)
        return {NONE: (), "documented": DOCUMENTED}.get(self.policy, SAFE)

    @property
    def honours(self) -> bool:
        """Whether Retry-After is heeded. The vendor's documentation does not know it, so `documented` does not."""
        if self.honour_retry_after is None:
            return self.policy in {"fixed", "exponential"}
        return self.honour_retry_after

    def settled(self) -> "RetryPolicy":
        """Returns the policy with nothing left that depends on its name, as the run's record keeps it."""
        if self.policy == NONE:
            return self
        return msgspec.structs.replace(self, on=list(self.outcomes), honour_retry_after=self.honours)

    def retries(self, outcome: str) -> bool:
        """Says whether an attempt with this outcome is followed by another."""
        return any(
            outcome == name or (name in GROUPS and GROUPS[name].fullmatch(outcome) is not None)
            for name in self.outcomes
        )

    def wait_s(self, retry: int, outcome: str, source: random.Random) -> float:
        """Returns the wait before a conversation's `retry`-th further attempt, from 1; `outcome` is of the last one.

        Exponential with full jitter draws evenly between 0 and the bound that grows (Brooker, "Exponential Backoff
        And Jitter", AWS Architecture Blog, 2015): the retries of clients that failed together spread most.
        """
        if self.policy == "documented":
            if outcome == RATE_LIMITED:
                return source.uniform(*DOCUMENTED_RATE_LIMIT_S)
            return DOCUMENTED_5XX_S[min(retry, len(DOCUMENTED_5XX_S)) - 1]
        if self.policy == "fixed":
            return self.first_wait_s
        bound_s = min(self.first_wait_s * self.factor ** (retry - 1), self.max_wait_s)
        return source.uniform(0.0, bound_s) if self.jitter else bound_s


_DEFAULTS = dict(zip(RetryPolicy.__struct_fields__, RetryPolicy.__struct_defaults__, strict=True))


class Decision(msgspec.Struct, frozen=True):
    """What follows a failed attempt: one of FATES, after a wait; `retry_after` is "" without such a header."""

    fate: str
    wait_s: float = 0.0
    retry_after: str = ""


def decide(
    policy: RetryPolicy, made: int, outcome: str, retry_after: str, now_unix_s: float, source: random.Random
) -> Decision:
    """Decides after the `made`-th attempt of a conversation.

    A Retry-After that is honoured is the least wait, as RFC 9110 §10.2.3 has it: a longer back-off of the policy's
    own stays. One beyond the policy's bound ends the conversation, since an earlier attempt was not wanted.
    """
    unheard = IGNORED if retry_after else ""
    if not policy.retries(outcome):
        return Decision(NOT_RETRIED, retry_after=unheard)
    if made >= policy.attempts:
        return Decision(GAVE_UP, retry_after=unheard)
    own_s = policy.wait_s(made, outcome, source)
    asked_s = parse_retry_after_s(retry_after, now_unix_s) if retry_after and policy.honours else None
    if asked_s is None:
        return Decision(RETRIED, own_s, unheard)
    if asked_s > policy.max_retry_after_s:
        return Decision(GAVE_UP, retry_after=IGNORED)
    return Decision(RETRIED, max(own_s, asked_s), HONOURED)


def parse_retry_after_s(text: str, now_unix_s: float) -> float | None:
    """Returns how long a Retry-After asks to wait, in either form of RFC 9110 §10.2.3; None where it is neither.

    A date in the past asks for no wait. It is compared with this machine's clock.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        # A date without a zone, as in the asctime form, is in UTC.
        at_unix_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(at_unix_s - now_unix_s, 0.0)


def canonical(written: Any) -> Any:
    """Returns the table that a policy's bare name stands for; a table as it is."""
    return {"policy": written} if isinstance(written, str) else written


def merged(known: Any, newer: Any) -> Any:
    """Returns what a newer source makes of a table: a bare name keeps the settings that its policy uses too."""
    if not isinstance(newer, str) or not isinstance(known, Mapping):
        return canonical(newer)
    kept = {key: value for key, value in known.items() if newer in _USED_BY.get(key, ())}
    return kept | {"policy": newer}


def mistakes_in(written: object) -> Iterator[str]:
    """Yields what is wrong with a policy's name or a table, each as the end of a message behind the key."""
    table = canonical(written)
    if not isinstance(table, dict):
        yield f": must be a table or one of {', '.join(POLICIES)}"
        return
    name = table.get("policy", NONE)
    if name not in POLICIES:
        yield f": {name!r} is no retry policy; allowed: {', '.join(POLICIES)}"
        return
    yield from (f"{mistake.path[1:]}: {mistake.what}" for mistake in find_mistakes(table, RetryPolicy))
