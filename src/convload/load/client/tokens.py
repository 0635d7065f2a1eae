"""The way in: where the services are, the AppJWT and its renewal, ConsumerJWSs."""

import time
from collections.abc import Callable
from typing import TypeVar

import gevent
import msgspec

from convload.contract import answers, paths
from convload.contract.answers import Answer, AppToken
from convload.contract.outcomes import OK
from convload.contract.steps import APP_TOKEN, CONSUMER_TOKEN
from convload.errors import TargetError, UsageError
from convload.load.client import calls
from convload.load.client.credentials import Credentials
from convload.load.client.http import Client, Exchange, Limits, probe
from convload.load.client.origin import Origin
from convload.load.recorder import Records, Result
from convload.plan.plan import host_allowed, refusal_of_host

RENEW_AT = 0.8
"""The share of its life after which the AppJWT is renewed: early enough never to meet its end, and the margin
grows with the lifetime."""

RETRY_S = 1.0

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
    exchange = client.exchange(calls.get(paths.domain(account), target))
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
        self._head = calls.head("POST", paths.app_token(account), services.sentinel, calls.FORM)
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
        exchange = self._client.exchange(calls.complete(self._head, self._credentials.form()))
        answer = _read(exchange, answers.read_app_token)
        if isinstance(answer, AppToken):
            self.token = answer.access_token
            self._renews_at_s = exchange.done_s + RENEW_AT * answer.expires_in
            answer = Answer(OK)
        _record(self._records, APP_TOKEN, exchange, answer)
        return answer


class ConsumerTokens:
    """Mints ConsumerJWSs, which never expire; one per consumer id."""

    def __init__(self, services: Services, account: str, app_tokens: AppTokens, records: Records) -> None:
        self.origin = services.idp
        self._account = account
        self._app_tokens = app_tokens
        self._records = records

    def mint(self, client: Client, consumer_id: str) -> str:
        """Returns the token of a consumer, or "" after recording why there is none."""
        headers = calls.JSON | {paths.AUTHORIZATION: self._app_tokens.token}
        head = calls.head("POST", paths.consumer_token(self._account), self.origin, headers)
        body = msgspec.json.encode({"ext_consumer_id": consumer_id})
        exchange = client.exchange(calls.complete(head, body))
        answer = _read(exchange, answers.read_consumer_token)
        if isinstance(answer, Answer):
            _record(self._records, CONSUMER_TOKEN, exchange, answer)
            return ""
        _record(self._records, CONSUMER_TOKEN, exchange, Answer(OK))
        return answer.token


def _read(exchange: Exchange, read: Callable[[int, bytes], _T | Answer]) -> _T | Answer:
    return _failure(exchange) if exchange.failure else read(exchange.status, exchange.body)


def _failure(exchange: Exchange) -> Answer:
    return Answer(exchange.failure, exchange.detail)


def _record(records: Records, step: str, exchange: Exchange, answer: Answer) -> None:
    times = exchange.sent_s, exchange.sent_s, exchange.done_s
    records.record(Result(step, answer.outcome, *times, detail=answer.detail))
