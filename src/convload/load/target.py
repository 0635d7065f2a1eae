"""One target, as the users of a worker fire at it: services, tokens, payloads, what is left open there."""

import random
import ssl
from collections import deque
from collections.abc import Iterable, Mapping

import gevent
import msgspec

from convload.contract import paths
from convload.contract.answers import Answer
from convload.errors import UsageError
from convload.load.client.credentials import FIXED_AUTHORIZATION, FIXED_ON_BEHALF, Credentials
from convload.load.client.http import Client, Limits
from convload.load.client.origin import JSON, Origin
from convload.load.client.redaction import known
from convload.load.client.sources import sources
from convload.load.client.tokens import AppTokens, ConsumerTokens, locate
from convload.load.client.tracing import Tracing
from convload.load.pacing.closed import share_of
from convload.load.recorder import Records
from convload.load.session import Session, Share
from convload.payloads.builder import Builder, Payload
from convload.payloads.catalogue import Catalogue
from convload.plan.plan import Plan, refusal_in_clear_text

MAX_REMEMBERED = 200_000
"""Open conversations that are remembered to be closed at the end; what is beyond stays open and is counted."""


class OpenConversation(msgspec.Struct, frozen=True, gc=False):
    """A conversation to be closed, and the header lines of the consumer it belongs to."""

    conversation_id: str
    headers: bytes


class Target:
    """What the calls of all users need, and what is counted of them.

    Attributes:
        session: what its users share with those of the other target.
        records: where results go.
        limits: of each request.
        services: where they go to.
        app_tokens: the app's token, and whether it has worked.
        create_head, send_head: how they begin; the app's token is in them.
        on_behalf: the header line of the one consumer that all are, if there is such a one.
        payloads: what is created.
        left_open: what is still to be closed.
        sent: create requests begun so far, of which `retried` were not the first of their payload.
        in_flight: requests of any kind that wait for their answer.
        tracing: which creates carry a trace context.
        random: draws the waits before retries.
    """

    def __init__(
        self,
        session: Session,
        url: str,
        context: ssl.SSLContext,
        catalogue: Catalogue,
        records: Records,
        *,
        lookup: bool,
    ) -> None:
        plan, share = session.plan, session.share
        self.session = session
        self.records = records
        self.limits = Limits(plan.connect_timeout_s, plan.timeout_s)
        self.payloads = Payloads(catalogue, plan, share)
        self.left_open = LeftOpen()
        self.sent = self.retried = self.in_flight = 0
        self.tracing = Tracing(plan.traced, share.run_id)
        self.random = random.Random(f"{plan.seed}/{share.worker}/retry")  # noqa: S311 -- waits, the same for a seed
        self.on_behalf = b""
        self._origin, self._context, self._lookup = Origin(url, context), context, lookup

    def open(self, credentials: Credentials | None, environment: Mapping[str, str]) -> None:
        """Finds the services and gets the tokens; `credentials` are needed unless consumers = "none".

        Raises:
            TargetError: the target cannot be used.
            UsageError: a look-up leads where it is not allowed to fire, or a source address is not of this machine.
        """
        plan, share = self.session.plan, self.session.share
        sources.use(plan.source_addresses)
        fixed = environment.get(FIXED_AUTHORIZATION, ""), environment.get(FIXED_ON_BEHALF, "")
        known.know(*fixed)
        if any(fixed) and plan.in_clear_text and not plan.insecure:
            raise UsageError(refusal_in_clear_text(plan.in_clear_text[0]))
        services = locate(self._origin, plan, self.limits, self._context, lookup=self._lookup)
        self.services = services
        self.app_tokens = AppTokens(
            services, plan.account, credentials, self.limits, self.records, self._authorize, self.session.on_note
        )
        if credentials is None:
            authorization, on_behalf = fixed
            self._authorize(authorization)
            self.on_behalf = on_behalf_line(on_behalf)
            return
        self.app_tokens.mint()
        prefix = f"convload-{share.run_id}-{share.worker}"
        self._consumers = ConsumerTokens(services, plan.account, self.app_tokens, self.limits, self.records, prefix)
        if plan.consumers == "pool":
            self._consumers.fill_pool(share_of(plan.pool_size or plan.conversations or 0, share.worker, share.workers))

    def _authorize(self, token: str) -> None:
        headers = JSON | ({paths.AUTHORIZATION: token} if token else {})
        account, messaging = self.session.plan.account, self.services.messaging
        self.create_head = messaging.head("POST", paths.create(account), headers)
        self.send_head = messaging.head("POST", paths.send(account), headers)

    def was_refused(self, request: bytes, answer: Answer) -> None:
        """Takes a 401 into account, which may lead to a new token; in the closed model the user waits for it."""
        if self.session.plan.model == "open":
            gevent.spawn(self.app_tokens.refused, request, answer)
        else:
            self.app_tokens.refused(request, answer)

    def next_consumer(self, client: Client) -> bytes:
        """Returns the header line of a consumer that nobody is, b"" without one; a used up pool ends the run."""
        if self.session.plan.consumers != "pool":
            return on_behalf_line(self._consumers.mint(client))
        token = self._consumers.take()
        if not token:
            self.session.pacing.run_dry("the pool of consumers is used up")
        return on_behalf_line(token)


class Payloads:
    """This worker's payloads, one after the other; the indices of all workers together have no double."""

    def __init__(self, catalogue: Catalogue, plan: Plan, share: Share) -> None:
        self._catalogue, self._plan = catalogue, plan
        self._worker, self._workers = share.worker, share.workers
        self._builders: dict[str, Builder] = {}
        self.require_mixes([""])
        self._build = self._builders[""].build
        self.built = 0

    def require_mixes(self, mixes: Iterable[str]) -> None:
        """Makes ready what builds the payloads of these mixes; "" is the plan's.

        Raises:
            UsageError: there is no such mix.
        """
        plan = self._plan
        for mix in set(mixes) - self._builders.keys():
            self._builders[mix] = Builder(self._catalogue, mix=mix or plan.mix, account=plan.account, seed=plan.seed)

    def build(self, variant: str = "", mix: str = "") -> Payload:
        """Returns the next one: of that variant, or as that mix has it, or as the plan's has it.

        Raises:
            UsageError: there is no such variant or mix.
        """
        index = self._worker + self.built * self._workers
        payload = self._build_of(variant, mix, index) if variant or mix else self._build(index)
        self.built += 1
        return payload

    def _build_of(self, variant: str, mix: str, index: int) -> Payload:
        self.require_mixes([mix])
        builder = self._builders[mix]
        return builder.build_variant(variant, index) if variant else builder.build(index)


class LeftOpen:
    """Conversations that are to be closed when the run has ended; `count` are those that nobody will close."""

    def __init__(self) -> None:
        self._known: deque[OpenConversation] = deque()
        self.count = 0

    def add(self, conversation: OpenConversation) -> None:
        """Remembers a conversation."""
        if len(self._known) < MAX_REMEMBERED:
            self._known.append(conversation)
        else:
            self.count += 1

    def take(self) -> OpenConversation | None:
        """Returns a remembered conversation, which is then forgotten."""
        return self._known.popleft() if self._known else None

    def give_up(self) -> None:
        """Counts what is still remembered as left open."""
        self.count += len(self._known)
        self._known.clear()


def on_behalf_line(token: str) -> bytes:
    """Returns the header line that names the consumer, empty without one."""
    return f"{paths.ON_BEHALF}: {token}\r\n".encode("latin-1") if token else b""
