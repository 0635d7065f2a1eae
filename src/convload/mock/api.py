"""The endpoints of the mock: which request goes where, the create call, and what the mock says about itself."""

import hmac
import re
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl, unquote

import msgspec

from convload.contract import paths
from convload.contract.answers import MISSING_BRAND, Refusal, bad_request, refusal_of
from convload.contract.requests import check_request
from convload.contract.sends import check_send
from convload.mock import replies
from convload.mock.access import CLIENT_PROPERTIES, Access, AppCredentials, Destination, look_up
from convload.mock.faults import Faults
from convload.mock.ledger import Ledger
from convload.mock.messages import Reply, Request, Traffic
from convload.mock.replies import OK, json_reply, refused, unreadable
from convload.mock.sending import Sending, closes
from convload.mock.state import Conversations
from convload.mock.tokens import Tokens
from convload.mock.waiting_line import Counts, Visit
from convload.plan.durations import parse_whole_seconds
from convload.plan.mock_behaviour import Behaviour

KNOWN_TARGETS = 1024
"""Request targets whose route is kept; when there are more, all are found anew."""

MAX_LISTED_IDS = 100_000
TOKEN = b"x-mock-token"

MAX_RATE = 10_000_000
"""Creates per second that the truth may be asked about."""

_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_NUMBER = re.compile("[0-9]{1,18}")

_ACCOUNT = "/api/account/(?P<account>[^/]*)"
_CONVERSATION = f"{_ACCOUNT}/messaging/consumer/conversation"
_DOMAIN = rf"{_ACCOUNT}/service(?:/(?P<service>[^/]+))?/baseURI(?:\.json)?"

Answer = Callable[[Destination, Request], Reply]
Methods = dict[bytes, Callable[[Request], Reply]]


class _Route(msgspec.Struct, frozen=True):
    """One endpoint: a regular expression for its path, the name that its requests are counted under or none.

    `version` is the only `v` that it serves.
    """

    name: str
    method: bytes
    path: str
    answer: Answer
    version: str = ""


class ServerLine(Protocol):
    """The servers that creates queue for."""

    counts: Counts

    def enter(self, service_s: float) -> Visit | None:
        """Takes in a request; None where it is shed."""


class Api:
    """Answers whole requests; pure but for its own state and the clock that is passed in, which returns Unix time.

    `traffic` is counted by the connections; without a `line` an answer waits for nobody.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        credentials: AppCredentials,
        traffic: Traffic,
        clock: Callable[[], float],
        line: ServerLine | None = None,
    ) -> None:
        self._behaviour = behaviour
        self._line = line
        self._shed = _shed_reply(behaviour)
        self._account = behaviour.account
        self._answers_event = behaviour.refused_event == "bad_request"
        self._reading = behaviour.reading
        self.traffic = traffic
        self.services_port: int | None = None
        """Where look-ups lead, if not to the port that they came to."""
        self.token = ""
        """Whoever asks what the mock has seen must know it; "" where everybody may."""
        self._faults = Faults(behaviour)
        self._conversations = Conversations(one_open=behaviour.one_open_conversation)
        self._ledger = Ledger()
        self._tallies = self._ledger.tallies
        tokens = Tokens(behaviour.app_token_lifetime_s, clock)
        self._access = Access(tokens, credentials, behaviour.app_token_lifetime_s, auth=behaviour.auth)
        self._sending = Sending(self._access, self._conversations, behaviour.max_message_chars, clock)
        self._known: dict[bytes, Methods] = {}
        self._routes = self._make_routes()

    def _make_routes(self) -> tuple[_Route, ...]:
        get, post, version = b"GET", b"POST", paths.API_VERSION
        counted, access = self._counted, self._access
        return (
            _Route("create", post, _CONVERSATION, counted("create", self._open), version),
            _Route("send", post, f"{_CONVERSATION}/send", self._send, version),
            _Route("consumer_token", post, f"{_ACCOUNT}/consumer", counted("consumer_token", access.consumer_token)),
            _Route("app_token", post, f"/sentinel{_ACCOUNT}/app/token", counted("app_token", access.app_token)),
            _Route("domain", get, _DOMAIN, counted("domain", self._look_up)),
            _Route("", get, "/__mock__/stats", partial(self._show, self._show_stats)),
            _Route("", get, "/__mock__/ledger", partial(self._show, self._show_ledger)),
            _Route("", get, "/__mock__/truth", partial(self._show, self._show_truth)),
        )

    def respond(self, request: Request) -> Reply:
        """Answers a request."""
        methods = self._known.get(request.target) or self._find(request.target)
        answer = methods.get(request.method)
        return answer(request) if answer is not None else self._tallies["other"].count(_no_endpoint(methods))

    # Routes

    def _find(self, target: bytes) -> Methods:
        """Finds what answers at a target, and remembers it unless its query may hold credentials."""
        path, _, query = _origin_form(target).partition("?")
        for route in self._routes:
            if found := re.fullmatch(route.path, path):
                parts = {name: unquote(part or "") for name, part in found.groupdict().items()}
                where = Destination(query=dict(parse_qsl(query)), **parts)
                methods = self._methods(route, where)
                if where.query.keys() <= {"v", "version"}:
                    if len(self._known) >= KNOWN_TARGETS:
                        self._known.clear()
                    self._known[target] = methods
                return methods
        return {}

    def _methods(self, route: _Route, where: Destination) -> Methods:
        refusal = self._misdirected(route, where) if route.name else None
        answer = self._refusing(route.name, refusal) if refusal else partial(route.answer, where)
        methods: Methods = {route.method: answer}
        if route.method == b"GET":
            methods[b"HEAD"] = answer
        return methods

    def _misdirected(self, route: _Route, where: Destination) -> Refusal | None:
        """Returns why nothing that is sent to this target can succeed."""
        if route.version and where.query.get("v") != route.version:
            return refusal_of(404, f"only v={route.version} is served")
        if not where.account:
            return MISSING_BRAND
        if self._account in ("", where.account):
            return None
        return refusal_of(401 if route.name == "domain" else 400, "unknown account")

    def _refusing(self, name: str, refusal: Refusal) -> Callable[[Request], Reply]:
        tally, reply = self._tallies[name], refused(refusal)
        return lambda _: tally.count(reply)

    def _counted(self, name: str, answer: Answer) -> Answer:
        """Returns an answer that is counted, with the faults, the service times and the servers that its step has."""
        if self._faults.meets(name):
            answer = partial(self._faulty, name, answer)
        if name == "create" and self._line is not None:
            answer = partial(self._served, self._line, answer)
        elif name == "create" and self._behaviour.service_time:
            answer = partial(self._delayed, answer)
        count = self._tallies[name].count
        return lambda where, request: count(answer(where, request))

    def _faulty(self, name: str, answer: Answer, where: Destination, request: Request) -> Reply:
        return self._faults.answer(name, self._tallies[name].received, lambda: answer(where, request))

    def _delayed(self, create: Answer, where: Destination, request: Request) -> Reply:
        delay_s = self._faults.service_s(self._tallies["create"].received)
        return msgspec.structs.replace(create(where, request), delay_s=delay_s)

    def _served(self, line: ServerLine, create: Answer, where: Destination, request: Request) -> Reply:
        """Answers a create, whatever the answer is, when the servers are done with it; a shed one at once."""
        visit = line.enter(self._faults.service_s(self._tallies["create"].received))
        return self._shed if visit is None else msgspec.structs.replace(create(where, request), visit=visit)

    def _look_up(self, where: Destination, request: Request) -> Reply:
        return look_up(where, request, self.services_port)

    # Conversations

    def _open(self, where: Destination, request: Request) -> Reply:
        consumer = self._access.consumer_of(where, request)
        if not isinstance(consumer, str):
            return refused(consumer)
        checked = check_request(request.body, where.account, self._reading)
        if checked.mistakes:
            return unreadable(checked.mistakes)
        conversation = self._conversations.open(consumer)
        if conversation is None:
            return replies.refused_open(checked.elements, consumer, answers_event=self._answers_event)
        if self._behaviour.require_client_properties:
            conversation.with_properties = CLIENT_PROPERTIES in request.headers
        self._ledger.count_shape(checked.elements)
        return replies.created(checked.elements, conversation)

    def _send(self, where: Destination, request: Request) -> Reply:
        send = check_send(request.body)
        name = "close" if closes(send) else "send"
        tally, work = self._tallies[name], partial(self._sending.answer, where, request, send)
        return tally.count(self._faults.answer(name, tally.received, work) if self._faults.meets(name) else work())

    # What the mock says about itself; these requests are counted nowhere

    def _show(self, page: Answer, where: Destination, request: Request) -> Reply:
        given = request.headers.get(TOKEN) or where.query.get("token", "").encode()
        if not hmac.compare_digest(given, self.token.encode()) and self.token:
            return refused(refusal_of(401, "needs the token that the mock printed, as X-Mock-Token or ?token="))
        return page(where, request)

    def _show_stats(self, where: Destination, request: Request) -> Reply:  # noqa: ARG002 -- the signature of an answer
        traffic = self.traffic
        shown: dict[str, object] = dict(self._tallies)
        shown["shapes"] = self._ledger.shown_shapes()
        shown["faults"] = self._faults.counts
        shown["conversations"] = self._show_conversations()
        shown["connections"] = {"open": traffic.connections_open, "total": traffic.connections_total}
        shown["bytes"] = {"received": traffic.bytes_received, "sent": traffic.bytes_sent}
        shown["refused_http"] = traffic.refused
        if self._line is not None:
            shown["servers"] = self._line.counts
        return json_reply(OK, shown)

    def _show_ledger(self, where: Destination, request: Request) -> Reply:  # noqa: ARG002 -- as above
        accepted = {name: tally.accepted for name, tally in self._tallies.items()}
        shown: dict[str, object] = {"accepted": accepted, "conversations": self._show_conversations()}
        if where.query.get("ids", "0") == "0":
            return json_reply(OK, shown)
        offset, limit = where.query.get("offset", "0"), where.query.get("limit", "1000")
        if not (_NUMBER.fullmatch(offset) and _NUMBER.fullmatch(limit) and int(limit) <= MAX_LISTED_IDS):
            return refused(bad_request(f"offset and limit must be numbers, limit at most {MAX_LISTED_IDS}"))
        opened = self._conversations.opened
        numbers = range(min(int(offset), opened), min(int(offset) + int(limit), opened))
        page = {"total": opened, "ids": [self._conversations.id_of(number) for number in numbers]}
        return json_reply(OK, shown | page)

    def _show_truth(self, where: Destination, request: Request) -> Reply:  # noqa: ARG002 -- as above
        # NumPy is slow to import, and most mocks are never asked.
        from convload.mock.truth import truth_of  # noqa: PLC0415 -- as said

        given = where.query.get("rate")
        if given is not None and not (_RATE.fullmatch(given) and 0 < float(given) <= MAX_RATE):
            return refused(bad_request(f"rate must be a number of creates per second, above 0, at most {MAX_RATE:,}"))
        return json_reply(OK, truth_of(self._behaviour, None if given is None else float(given)))

    def _show_conversations(self) -> dict[str, int]:
        return {"opened": self._conversations.opened, "closed": self._conversations.closed}


def _no_endpoint(methods: Methods) -> Reply:
    """Refuses a target that is not there, or a method that it does not have."""
    if not methods:
        return refused(refusal_of(404, "no such path"))
    allowed = b", ".join(sorted(methods))
    refusal = refusal_of(405, f"allowed: {allowed.decode()}")
    return Reply(refusal.status, refusal.body(), headers=b"Allow: %b\r\n" % allowed)


def _origin_form(target: bytes) -> str:
    """Returns path and query of a request target, which a client may also send with scheme and host."""
    text = target.decode("latin-1")
    if text.startswith("/"):
        return text
    return "/" + text.partition("://")[2].partition("/")[2]


def _shed_reply(behaviour: Behaviour) -> Reply:
    """Returns the answer to a create that finds the queue full; nothing public says its body or Retry-After."""
    refusal = refusal_of(behaviour.shed, "all servers are busy and the queue is full")
    wait_s = parse_whole_seconds(behaviour.retry_after)
    return Reply(refusal.status, refusal.body(), headers=b"Retry-After: %d\r\n" % wait_s if wait_s else b"")
