"""Asks whether a target can be used: name, TCP, TLS, one harmless request, credentials. Never creates anything."""

import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from convload import __version__
from convload.contract import answers, paths
from convload.contract.answers import AppToken
from convload.doctor.facts import NOT_KNOWN, Check, State
from convload.errors import UsageError, why_unread
from convload.load.client import credentials
from convload.plan.plan import Plan, cautions, host_allowed, refusal_of_host, service_url
from convload.results.histogram import short

SOON_DAYS = 14
"""A certificate that ends so soon is worth a word."""

SERVER_ERROR = 500
DAY_S = 86_400
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Place(msgspec.Struct, frozen=True):
    """One server by scheme, host and port, and the address of this machine that it is asked from, if one is named."""

    scheme: str
    host: str
    port: int
    source: str = ""

    @classmethod
    def of(cls, url: str, source: str = "") -> "Place":
        """Reads a URL that `plan.assemble` has let through."""
        parts = urlsplit(url)
        return cls(parts.scheme, str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80), source)

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class CheckFailedError(Exception):
    """A step did not work; the others cannot follow."""


def examine(plan: Plan, environment: Mapping[str, str] = os.environ) -> list[Check]:
    """Returns the checks of a plan's target up to a problem; raises UsageError where its ca_file cannot be read."""
    context = _context(plan)
    cautious = [Check("protection", "warning", "given up", text) for text in cautions(plan)]
    return [*cautious, *_steps(plan, context, environment)]


def _steps(plan: Plan, context: ssl.SSLContext, environment: Mapping[str, str]) -> Iterator[Check]:
    place = Place.of(plan.target)
    name = "name look-up"
    try:
        addresses, found = _look_up(place)
        yield found
        name = "TCP connect"
        sources, useless = _sources(addresses, plan.source_addresses)
        yield from useless
        for source in reversed(sources[1:]):
            sock, connected = _connect(addresses, plan.connect_timeout_s, source)
            sock.close()
            yield connected
        place = msgspec.structs.replace(place, source=sources[0])
        sock, connected = _connect(addresses, plan.connect_timeout_s, place.source)
        yield connected
        if place.scheme == "https":
            name = "TLS handshake"
            with sock:
                yield from _shake_hands(sock, place, context, plan.connect_timeout_s)
        sock.close()
        name = "request"
        sentinel, answered = _ask(plan, place, context)
        yield answered
        yield _credentials_set(plan, environment)
        name = "app token"
        yield from _app_token(plan, sentinel, context, environment)
    except (CheckFailedError, OSError, UnicodeError, http.client.HTTPException) as error:
        yield Check(name, "problem", _describe(error), f"the target {place} cannot be used", _ADVICE[name])


_ADVICE = {
    "name look-up": "look at the name, and at this machine's resolver",
    "TCP connect": "is it running, is the port right, does a firewall stand between?",
    "TLS handshake": "for a private authority set ca_file in the plan; an expired one is to be renewed there",
    "request": "is the address the Connector API's, and the account right?",
    "app token": "look at CONVLOAD_CLIENT_ID and CONVLOAD_CLIENT_SECRET, and at the rights of the app install",
}


def _describe(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, TimeoutError):
        return "no answer within the time allowed"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or str(error) or type(error).__name__


def _context(plan: Plan) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(
            cadata=Path(plan.ca_file).read_text(encoding="utf-8") if plan.ca_file else None
        )
    except (OSError, UnicodeDecodeError) as error:  # ssl's own errors are OSErrors
        raise UsageError(f"ca_file: {plan.ca_file}: cannot be read: {why_unread(error)}") from error
    if not plan.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


_Address = tuple[int, tuple[Any, ...]]


def _look_up(place: Place) -> tuple[list[_Address], Check]:
    began_s = time.monotonic()
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    took = _took(began_s)
    addresses: list[_Address] = [(family, address) for family, _, _, _, address in found]
    named = ", ".join(dict.fromkeys(str(address[0]) for _, address in addresses))
    return addresses, Check("name look-up", "ok", f"{took}: {named}", f"{place.host} has an address")


def _sources(addresses: list[_Address], named: list[str]) -> tuple[list[str], list[Check]]:
    """Returns the source addresses that the target can be asked from, "" for what routes choose, and who is of none."""
    families = {family for family, _ in addresses}
    reaching = [one for one in named if _family(one) in families]
    if named and not reaching:
        raise CheckFailedError(f"it has no address that {' or '.join(named)} reaches")
    useless = [
        Check(_from(one), "warning", "not used", "the target has no address of its family")
        for one in named
        if one not in reaching
    ]
    return reaching or [""], useless


def _family(source: str) -> int:
    return socket.AF_INET6 if ":" in source else socket.AF_INET


def _from(source: str) -> str:
    return f"TCP connect from {source}" if source else "TCP connect"


def _connect(addresses: list[_Address], timeout_s: float, source: str = "") -> tuple[socket.socket, Check]:
    """Connects to the first address that answers, as a worker does."""
    within = [one for one in addresses if not source or one[0] == _family(source)]
    for position, (family, address) in enumerate(within, 1):
        sock = _socket(family, source)
        sock.settimeout(timeout_s)
        began_s = time.monotonic()
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            if position == len(within):
                raise
            continue
        figure = f"{_took(began_s)} to {address[0]}"
        return sock, Check(_from(source), "ok", figure, "one round trip over the network")
    raise CheckFailedError("the name has no address")


def _socket(family: int, source: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if source:
            sock.bind((source, 0))
    except OSError as error:
        sock.close()
        raise CheckFailedError(f"source_addresses: {source} is no address of this machine") from error
    return sock


def _shake_hands(sock: socket.socket, place: Place, context: ssl.SSLContext, timeout_s: float) -> Iterator[Check]:
    sock.settimeout(timeout_s)
    began_s = time.monotonic()
    with context.wrap_socket(sock, server_hostname=place.host) as secured:
        figure = f"{_took(began_s)}, {secured.version()}, {(secured.cipher() or ('',))[0]}"
        yield Check("TLS handshake", "ok", figure, "each new connection pays this once")
        yield certificate(secured.getpeercert() or {}, time.time())


def certificate(facts: Mapping[str, object], now_unix_s: float) -> Check:
    """Judges what `SSLSocket.getpeercert` tells, which is nothing where certificates are not verified."""
    ends = facts.get("notAfter")
    meaning = "the certificate of the target is trusted and is for its name"
    if not isinstance(ends, str):
        return Check("certificate", NOT_KNOWN, "not verified", "verify_tls = false: whoever answers is believed")
    days = int((ssl.cert_time_to_seconds(ends) - now_unix_s) // DAY_S)
    state: State = "ok" if days >= SOON_DAYS else "warning"
    advice = "" if state == "ok" else "have it renewed before it ends"
    return Check("certificate", state, f"valid for {days:,} more day{'s' * (days != 1)}", meaning, advice)


def _ask(plan: Plan, place: Place, context: ssl.SSLContext) -> tuple[Place, Check]:
    """Makes the one request: the domain look-up where the plan has one, else `GET /`; returns where Sentinel is."""
    path = paths.domain(plan.account) if plan.lookup else "/"
    began_s = time.monotonic()
    status, body = _exchange(place, context, plan.timeout_s, "GET", path)
    figure = f"{_took(began_s)}, HTTP {status}"
    if plan.lookup:
        return _sentinel(plan, place, status, body), Check(
            "request", "ok", figure, "the domain look-up names all hosts"
        )
    if status >= SERVER_ERROR:
        return place, Check("request", "warning", figure, "GET / is answered with a server error", _ADVICE["request"])
    return place, Check("request", "ok", figure, "GET / is answered; with a new connection, so longer than in a run")


def _sentinel(plan: Plan, place: Place, status: int, body: bytes) -> Place:
    found = answers.read_domains(status, body)
    if not isinstance(found, dict):
        raise CheckFailedError(f"domain look-up: {found.outcome}: {found.detail}")
    if missing := [name for name in paths.SERVICES if name not in found]:
        raise CheckFailedError(f"domain look-up: names no host for {', '.join(missing)}")
    try:
        urls = {n: service_url(place.scheme, place.host, found[n], plan.allow_hosts) for n in paths.SERVICES}
        places = {name: Place.of(url, place.source) for name, url in urls.items()}
    except ValueError as error:
        raise CheckFailedError(f"domain look-up: names no usable host: {error}") from error
    for one in places.values():
        if not host_allowed(one.host, plan.allow_hosts):
            raise CheckFailedError(refusal_of_host(one.host))
        _connect(_look_up(one)[0], plan.connect_timeout_s, one.source)[0].close()
    return places[paths.SENTINEL]


def _credentials_set(plan: Plan, environment: Mapping[str, str]) -> Check:
    """Says where credentials would come from, never what they are."""
    meaning = "the AppJWT is asked for with them"
    if plan.credentials_file:
        return Check("credentials", "ok", "credentials_file is given", meaning)
    names = (credentials.CLIENT_ID, credentials.CLIENT_SECRET)
    said = ", ".join(f"{name} is {'set' if environment.get(name) else 'not set'}" for name in names)
    if all(environment.get(name) for name in names):
        return Check("credentials", "ok", said, meaning)
    return Check("credentials", "warning", said, meaning, "set both; without tokens run with --consumers none")


def _app_token(plan: Plan, sentinel: Place, context: ssl.SSLContext, environment: Mapping[str, str]) -> Iterator[Check]:
    try:
        own = credentials.read(plan.credentials_file, environment)
    except UsageError as error:
        if plan.credentials_file:
            raise CheckFailedError(str(error)) from error
        return
    began_s = time.monotonic()
    status, body = _exchange(sentinel, context, plan.timeout_s, "POST", paths.app_token(plan.account), own.form())
    answer = answers.read_app_token(status, body)
    if not isinstance(answer, AppToken):
        raise CheckFailedError(credentials.explain(answer))
    figure = f"{_took(began_s)}, valid for {answer.life_s(time.time()):,.0f} s"
    yield Check("app token", "ok", figure, "Sentinel takes the credentials; a run renews the token in time")


def _exchange(
    place: Place, context: ssl.SSLContext, timeout_s: float, method: str, path: str, form: bytes | None = None
) -> tuple[int, bytes]:
    source = (place.source, 0) if place.source else None
    connection = (
        http.client.HTTPSConnection(place.host, place.port, timeout=timeout_s, context=context, source_address=source)
        if place.scheme == "https"
        else http.client.HTTPConnection(place.host, place.port, timeout=timeout_s, source_address=source)
    )
    headers = {"User-Agent": f"convload/{__version__}", "Accept": "application/json"}
    try:
        connection.request(method, path, form, headers | (FORM if form is not None else {}))
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BODY)
    finally:
        connection.close()


_MOST_BODY = 1 << 20
"""More than any answer to these requests; a target that sends without end is not read for ever."""


def _took(began_s: float) -> str:
    return f"{short(1000 * (time.monotonic() - began_s))} ms"
