"""The way in: where the services are, the AppJWT and its renewal, ConsumerJWSs."""

import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import gevent
import msgspec
from gevent.pool import Pool

from convload.contract import answers, paths
from convload.contract.answers import Answer, AppToken
from convload.contract.outcomes import OK
from convload.contract.steps import APP_TOKEN, CONSUMER_TOKEN
from convload.errors import TargetError, UsageError
from convload.load.client.credentials import Credentials
from convload.load.client.http import Client, Exchange, Limits, probe
from convload.load.client.origin import FORM, JSON, Origin, complete
from convload.load.recorder import Records, Result
from convload.plan.plan import host_allowed, refusal_of_host

RENEW_AT = 0.8
"""The share of its life after which the AppJWT is renewed: early enough never to meet its end, and the margin
grows with the lifetime."""

RETRY_S = 1.0

MINTING_AT_ONCE = 32
"""Connections that mint the pool of consumers: enough to be quick, few enough to be polite."""

_T = TypeVar("_T")


class Services(msgspec.Struct, frozen=True):
    """Where each service is."""

    messaging: Origin
    sentinel: Origin
    idp: Origin


def locate(target: Origin, account: str, limits: Limits, allow_hosts: list[str], *, lookup: bool) -> Services:
    """Finds the services: all at the target, or where its domain look-up says.

    Raises:
        TargetError: no connection, or no usable look-up.
        UsageError: the look-up leads to a host that is not allowed.
    """
    if not lookup:
        require_reachable(target, limits)
        return Services(target, target, target)
    client = Client(target, limits)
    exchange = client.exchange(target.head("GET", paths.domain(account), {}) + b"\r\n")
    client.close()
    found = answers.read_domains(exchange.status, exchange.body) if not exchange.failure else _failure(exchange)
    if isinstance(found, Answer):
        raise TargetError(f"domain look-up at {target}: {found.outcome}: {found.detail}")
    if missing := [name for name in paths.SERVICES if name not in found]:
        raise TargetError(f"domain look-up at {target}: names no host for {', '.join(missing)}")
    origins = [Origin(f"{target.scheme}://{found[name]}", target.context) for name in paths.SERVICES]
    if refused := [refusal_of_host(origin.host) for origin in origins if not host_allowed(origin.host, allow_hosts)]:
        raise UsageError(*dict.fromkeys(refused))
    for origin in {str(origin): origin for origin in origins}.values():
        require_reachable(origin, limits)
    return Services(*origins)


def require_reachable(origin: Origin, limits: Limits) -> None:
    """Opens one connection.

    Raises:
        TargetError: it cannot be opened.
    """
    exchange = probe(origin, limits)
    if exchange.failure:
        raise TargetError(f"target {origin}: {exchange.failure}: {exchange.detail}")


class AppTokens:
    """The AppJWT of one worker, minted at set-up and renewed in the background, never within a timed step."""

    def __init__(
        self, services: Services, account: str, credentials: Credentials, limits: Limits, records: Records
    ) -> None:
        self._client = Client(services.sentinel, limits)
        self._head = services.sentinel.head("POST", paths.app_token(account), FORM)
        self._credentials = credentials
        self._records = records
        self._renews_at_s = 0.0
        self.token = ""

    def mint(self) -> None:
        """Gets the first token.

        Raises:
            TargetError: the credentials are refused, or there is no usable answer.
        """
        answer = self._request()
        if answer.outcome != OK:
            raise TargetError(f"AppJWT: {answer.outcome}: the credentials were refused or Sentinel is unusable")

    def renew_forever(self, on_renewed: Callable[[], None]) -> None:
        """Renews in time, again and again; run it in a greenlet of its own."""
        while True:
            gevent.sleep(max(self._renews_at_s - time.monotonic(), 0.0))
            if self._request().outcome == OK:
                on_renewed()
            else:
                gevent.sleep(RETRY_S)

    def _request(self) -> Answer:
        exchange = self._client.exchange(complete(self._head, self._credentials.form()))
        answer = _read(exchange, answers.read_app_token)
        if isinstance(answer, AppToken):
            self.token = answer.access_token
            self._renews_at_s = exchange.done_s + RENEW_AT * answer.expires_in
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
        body = msgspec.json.encode({"ext_consumer_id": f"{self._prefix}-{self._named}"})
        exchange = client.exchange(complete(head, body))
        answer = _read(exchange, answers.read_consumer_token)
        if isinstance(answer, Answer):
            _record(self._records, CONSUMER_TOKEN, exchange, answer)
            return ""
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


def _read(exchange: Exchange, read: Callable[[int, bytes], _T | Answer]) -> _T | Answer:
    return _failure(exchange) if exchange.failure else read(exchange.status, exchange.body)


def _failure(exchange: Exchange) -> Answer:
    return Answer(exchange.failure, exchange.detail)


def _record(records: Records, step: str, exchange: Exchange, answer: Answer) -> None:
    times = exchange.sent_s, exchange.sent_s, exchange.done_s
    records.record(Result(step, answer.outcome, *times, detail=answer.detail))
