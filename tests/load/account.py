"""A small account by the vendor's documents: tokens, and one open conversation a consumer; a test adds the faults."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.load.conftest import Peer, Script

from convload.load.client.credentials import FIXED_ON_BEHALF, Credentials
from convload.load.client.origin import tls_context
from convload.load.conversation import Consumer
from convload.load.pacing.closed import ClosedPacing
from convload.load.recorder import FailedAttempt, Result
from convload.load.session import Session, Share
from convload.load.target import Target
from convload.payloads.catalogue import Catalogue, default_folder
from convload.plan.plan import assemble

CATALOGUE = Catalogue.read(default_folder())


def answer(status: int, body: object = None, *headers: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = "".join(f"{header}\r\n" for header in (f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}", *headers))
    return head.encode() + b"\r\n" + data


class Received:
    """A request as the server sees it."""

    def __init__(self, request: bytes) -> None:
        head, _, self.body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.path = urlsplit(first.split(" ")[1]).path
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def step(self) -> str:
        ends = {"/app/token": "token.app", "/consumer": "token.consumer", "/conversation": "create", "/send": "send"}
        return next((step for end, step in ends.items() if self.path.endswith(end)), "other")


class Account:
    """Serves tokens and conversations; every `each`-th create is done, and then answered by the fault.

    `first` may answer a request before anything is done. A fault that is None never answers, b"" resets.
    """

    def __init__(self, serve: Callable[..., Script], fault: bytes | None = b"", each: int = 0) -> None:
        self._fault, self._each = fault, each
        self.received: list[Received] = []
        self.sources: set[str] = set()
        self.open: dict[str, str] = {}
        self.created = self.faults = self.tokens = self.consumers = 0
        self.first: Callable[[Received], bytes | None] = lambda _: None
        self.url = serve(self._behave).url

    def of(self, step: str) -> list[Received]:
        return [one for one in self.received if one.step == step]

    def _behave(self, peer: Peer) -> None:
        self.sources.add(peer.sock.getpeername()[0])
        while raw := peer.read_request():
            request = Received(raw)
            self.received.append(request)
            reply = self.first(request) or getattr(self, f"_{request.step.replace('.', '_')}")(request)
            if reply is None:
                continue  # never answered
            if not reply:
                peer.reset()
                return
            peer.send(reply)

    def _token_app(self, _: Received) -> bytes:
        self.tokens += 1
        return answer(200, {"access_token": f"app{self.tokens}", "token_type": "Bearer", "expires_in": 3600})

    def _token_consumer(self, _: Received) -> bytes:
        self.consumers += 1
        return answer(201, {"token": f"consumer{self.consumers}"})

    def _other(self, _: Received) -> bytes:
        return answer(404)

    def _create(self, request: Received) -> bytes | None:
        consumer = request.headers.get("x-lp-on-behalf", "")
        if consumer and consumer in self.open:
            return answer(400, [{"code": "OK"}, {"code": "BAD_REQUEST", "body": {"msg": "has an open conversation"}}])
        self.created += 1
        self.open[consumer] = f"c{self.created}"
        if self._each and self.created % self._each == 0:
            self.faults += 1
            return self._fault
        return accepted(request.body, self.open[consumer])

    def _send(self, request: Received) -> bytes:
        element = json.loads(request.body)
        if element["type"] == "cm.UpdateConversationField":
            self.open.pop(request.headers["x-lp-on-behalf"], None)
        return answer(200, {"code": "OK", "body": {"msg": "OK"}, "reqId": element["id"]})


def accepted(body: bytes, conversation_id: str) -> bytes:
    bodies: list[dict[str, Any]] = [{"msg": "OK"}, {"conversationId": conversation_id}, {"sequence": 0}]
    elements = zip(json.loads(body), bodies, strict=False)
    return answer(200, [{"code": "OK", "body": one, "reqId": str(element["id"])} for element, one in elements])


class Kept:
    """Keeps each result."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.failures: list[FailedAttempt] = []

    def record(self, result: Result) -> None:
        self.results.append(result)

    def record_failed_attempt(self, failed: FailedAttempt) -> None:
        self.failures.append(failed)

    def of(self, step: str) -> list[Result]:
        return [result for result in self.results if result.step == step]

    def outcomes(self, step: str) -> list[str]:
        return [result.outcome for result in self.of(step)]

    @property
    def fates(self) -> list[tuple[str, str, str]]:
        return [(failure.outcome, failure.fate, failure.retry_after) for failure in self.failures]


class Rig:
    """One user of an account, and where its results go."""

    def __init__(self, url: str, *, tokens: bool = False, **values: Any) -> None:
        self.kept = Kept()
        self.notes: list[str] = []
        plan = assemble(None, {}, {"target": url, "consumers": "close"} | values)
        self.session = Session(plan, Share(0, 1, "run"), ClosedPacing(plan, 0, 1))
        self.session.on_note = self.notes.append
        self.target = Target(self.session, url, tls_context("", verify=True), CATALOGUE, self.kept, lookup=plan.lookup)
        needed = Credentials("me", "hush") if tokens or plan.consumers != "none" else None
        self.target.open(needed, {FIXED_ON_BEHALF: "one"})
        self.consumer = self.another()

    def another(self) -> Consumer:
        """Returns another user."""
        return Consumer(self.target)

    def hold(self, conversations: int) -> None:
        """Opens and ends so many conversations, one after the other."""
        for _ in range(conversations):
            self.consumer.end(self.consumer.create())
