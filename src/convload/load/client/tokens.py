"""The way in: where the services are, the AppJWT and its renewal, ConsumerJWSs."""

import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Callable

import gevent
import msgspec
from gevent.pool import Pool

from convload.contract import answers, paths
from convload.contract.answers import HTTP_UNAUTHORIZED, OF_THE_CONSUMER, Answer, AppToken
from convload.contract.outcomes import OK
from convload.contract.steps import APP_TOKEN, CONSUMER_TOKEN
from convload.errors import TargetError, UsageError
from convload.load.client.connect import probe
from convload.load.client.credentials import Credentials, explain
from convload.load.client.http import Client, Exchange, Limits
from convload.load.client.origin import FORM, JSON, Origin, complete
from convload.load.client.reading import read
from convload.load.client.redaction import known
from convload.load.recorder import Records, Result
from convload.plan.plan import Plan, host_allowed, refusal_of_host, service_url
from convload.plan.retry import RETRIED, RetryPolicy, decide

RENEW_AT = 0.8
"""The share of its life after which the AppJWT is renewed: early enough never to meet its end, and the margin
grows with the lifetime."""

RETRY_S = 1.0

MINTING_GAP_S = 1.0
"""Between two tokens: a clock that is wrong, or refusals at random, are no reason to ask without a pause."""

AT_START_S = 60.0
AT_START = RetryPolicy(policy="documented", on=["rate_limited", "http_5xx", "connect_timeout", "read_timeout"])
"""How the first token is asked for again: the vendor's policy, here for time-outs too, and `AT_START_S` in all."""

MINTING_AT_ONCE = 32
"""Connections that mint the pool of consumers: enough to be quick, few enough to be polite."""

logger = logging.getLogger(__name__)


class Services(msgspec.Struct, frozen=True):
    """Where each service is."""

    messaging: Origin
    sentinel: Origin
    idp: Origin


def locate(target: Origin, plan: Plan, limits: Limits, context: ssl.SSLContext, *, lookup: bool) -> Services:
    """Finds the services: all at the target, or where its domain look-up says.

    Raises:
        TargetError: no connection, or no usable look-up.
        UsageError: the look-up leads to a host that is not allowed.
    """
    if not lookup:
        require_reachable(target, limits)
        return Services(target, target, target)
    client = Client(target, limits)
    exchange = client.exchange(target.head("GET", paths.domain(plan.account), {}) + b"\r\n")
    found = read(exchange, client, answers.read_domains)
    client.close()
    if isinstance(found, Answer):
        raise TargetError(known.redact(f"domain look-up at {target}: {found.outcome}: {found.detail}"))
    if missing := [name for name in paths.SERVICES if name not in found]:
        raise TargetError(f"domain look-up at {target}: names no host for {', '.join(missing)}")
    urls = (service_url(target.scheme, target.host, found[name], plan.allow_hosts) for name in paths.SERVICES)
    origins = [Origin(url, context) for url in urls]
    if refused := [origin.host for origin in origins if not host_allowed(origin.host, plan.allow_hosts)]:
        raise UsageError(*(known.redact(refusal_of_host(host)) for host in dict.fromkeys(refused)))
    for origin in {str(origin): origin for origin in origins}.values():
        require_reachable(origin, limits)
    return Services(*origins)


def require_reachable(origin: Origin, limits: Limits) -> None:
    """Opens one connection.

    Raises:
        TargetError: it cannot be opened.
    """
    if failed := probe(origin, limits.connect_timeout_s):
        raise TargetError(f"target {origin}: {failed.kind}: {failed.detail}")


class AppTokens:
    """The AppJWT of one worker: minted at set-up, renewed in time and when it is refused, never within a timed step.

    There is one request for a token at a time, whoever wants one (`_renewal`), and so one new token for all users of
    one that is refused. A refusal asks for none if it was of an earlier token, or of one that was asked for because of
    a refusal and never worked: that would be refused for ever; or within a second of the last.

    Args:
        credentials: what it is asked for with; None where there is nobody to ask.
        on_token: is called with each new token.
        on_note: is told what the results alone do not show.

    Attributes:
        token: the one to use.
        has_worked: whether a request with it was accepted; set by who sends them.
    """

    def __init__(
        self,
        services: Services,
        account: str,
        credentials: Credentials | None,
        limits: Limits,
        records: Records,
        on_token: Callable[[str], None],
        on_note: Callable[[str], None],
    ) -> None:
        self._client = Client(services.sentinel, limits)
        self._head = services.sentinel.head("POST", paths.app_token(account), FORM)
        self._form = credentials.form() if credentials else b""
        self._records = records
        self._on_token, self._on_note = on_token, on_note
        self._renews_at_s = 0.0
        self._renewal: gevent.Greenlet | None = None
        self._asked_s = -MINTING_GAP_S
        self._because_of_refusal = self._gave_up = False
        self.token = ""
        self.has_worked = False

    def mint(self) -> None:
        """Gets the first token, in as many attempts as the vendor's policy has, then sees to its renewal.

        Raises:
            TargetError: the credentials are refused, or there is no usable answer in time.
        """
        chance, deadline_s = random.Random(), time.monotonic() + AT_START_S  # noqa: S311 -- spreads waits, keeps no secret
        made = 0
        while (answer := self._request()).outcome != OK:
            made += 1
            retry_after = self._client.answer_header(b"retry-after")
            decision = decide(AT_START, made, answer.outcome, retry_after, time.time(), chance)
            if decision.fate != RETRIED or time.monotonic() + decision.wait_s > deadline_s:
                tried = f"; tried {made} times" if made > 1 else ""
                raise TargetError(f"AppJWT: {explain(answer)}{tried}")
            logger.warning("AppJWT: %s; asked for again in %.0f s", explain(answer), decision.wait_s)
            gevent.sleep(decision.wait_s)
        gevent.spawn(self._renew_in_time)

    def _renew_in_time(self) -> None:
        while True:
            gevent.sleep(max(self._renews_at_s - time.monotonic(), 0.0))
            if time.monotonic() >= self._renews_at_s and not self._renew():
                gevent.sleep(RETRY_S)

    def refused(self, request: bytes, answer: Answer) -> None:
        """Takes a 401 into account; returns when it is known whether there is a new token because of it."""
        if not self._form or self.token.encode() not in request or answer.error_code in OF_THE_CONSUMER:
            return
        if self._renewal is None and self._because_of_refusal and not self.has_worked:
            if not self._gave_up:
                self._gave_up = True
                code = f" (error code {answer.error_code})" if answer.error_code else ""
                self._on_note(f"AppJWT: a fresh one was refused too{code}; no other is asked for")
        elif self._renewal is not None or time.monotonic() - self._asked_s >= MINTING_GAP_S:
            self._because_of_refusal = self._renew()

    def _renew(self) -> bool:
        """Gets another token, or waits for the one that is asked for already; says whether there is one."""
        if self._renewal is None:
            self._renewal = gevent.spawn(self._ask)
        return bool(self._renewal.get())

    def _ask(self) -> bool:
        self._asked_s = time.monotonic()
        self._because_of_refusal = False
        try:
            answer = self._request()
            if answer.outcome != OK:
                self._on_note(f"AppJWT: could not be renewed: {explain(answer)}")
            return answer.outcome == OK
        finally:
            self._renewal = None

    def _request(self) -> Answer:
        exchange = self._client.exchange(complete(self._head, self._form))
        answer = read(exchange, self._client, answers.read_app_token)
        if isinstance(answer, AppToken):
            self.token, self.has_worked, self._gave_up = answer.access_token, False, False
            self._renews_at_s = exchange.done_s + max(RENEW_AT * answer.life_s(time.time()), MINTING_GAP_S)
            known.know(self.token)
            self._on_token(self.token)
            answer = Answer(OK)
        _record(self._records, APP_TOKEN, exchange, answer)
        return answer


class ConsumerTokens:
    """Mints ConsumerJWSs, which never expire: one for each consumer, that nobody was before; or a pool of them.

    Args:
        services: where they are minted.
        account: whose consumers they are.
        app_tokens: what lets us mint.
        limits: of each request.
        records: where its result goes.
        prefix: begins the ids of all these consumers and of no others.
    """

    def __init__(
        self, services: Services, account: str, app_tokens: AppTokens, limits: Limits, records: Records, prefix: str
    ) -> None:
        self._origin, self._path = services.idp, paths.consumer_token(account)
        self._app_tokens = app_tokens
        self._limits, self._records = limits, records
        self._prefix, self._named = prefix, 0
        self._pool: deque[str] = deque()

    def mint(self, client: Client) -> str:
        """Returns the token of a new consumer, or "" after recording why there is none."""
        self._named += 1
        head = self._origin.head("POST", self._path, JSON | {paths.AUTHORIZATION: self._app_tokens.token})
        request = complete(head, msgspec.json.encode({"ext_consumer_id": f"{self._prefix}-{self._named}"}))
        exchange = client.exchange(request)
        answer = read(exchange, client, answers.read_consumer_token)
        if isinstance(answer, Answer):
            _record(self._records, CONSUMER_TOKEN, exchange, answer)
            if exchange.status == HTTP_UNAUTHORIZED:
                self._app_tokens.refused(request, answer)
            return ""
        self._app_tokens.has_worked = True
        known.know_token(answer.token)
        _record(self._records, CONSUMER_TOKEN, exchange, Answer(OK))
        return answer.token

    def fill_pool(self, size: int) -> None:
        """Mints so many before the run.

        Raises:
            TargetError: some could not be minted.
        """
        workers = min(MINTING_AT_ONCE, size)
        minting = Pool(workers)
        for position in range(workers):
            minting.spawn(self._mint_some, len(range(position, size, workers)))
        minting.join()
        if len(self._pool) < size:
            raise TargetError(f"pool of consumers: {size - len(self._pool)} of {size} could not be minted")

    def _mint_some(self, count: int) -> None:
        client = Client(self._origin, self._limits)
        self._pool.extend(filter(None, (self.mint(client) for _ in range(count))))
        client.close()

    def take(self) -> str:
        """Returns one of the pool, "" when it is used up."""
        return self._pool.popleft() if self._pool else ""


def _record(records: Records, step: str, exchange: Exchange, answer: Answer) -> None:
    times = exchange.sent_s, exchange.sent_s, exchange.done_s
    records.record(Result(step, answer.outcome, *times, detail=answer.detail, head=answer.head))
