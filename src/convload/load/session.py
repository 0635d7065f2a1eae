"""What the users of one worker share: payloads, tokens, where to fire, when to stop."""

import logging
import random
import ssl
from collections import Counter, deque
from collections.abc import Mapping

import gevent
import msgspec
from gevent.event import Event
from gevent.pool import Pool

from convload.contract import paths
from convload.errors import TargetError
from convload.load.client import calls
from convload.load.client.credentials import FIXED_AUTHORIZATION, FIXED_ON_BEHALF, Credentials
from convload.load.client.http import Client, Limits
from convload.load.client.origin import Origin
from convload.load.client.tokens import AppTokens, ConsumerTokens, locate
from convload.load.pacing.closed import ClosedPacing, share_of
from convload.load.pacing.protocol import Pacing
from convload.load.pacing.schedules import AlternatingTargets
from convload.load.recorder import Records
from convload.payloads.builder import Builder, Payload
from convload.payloads.catalogue import Catalogue
from convload.plan.plan import Plan

MINTING_AT_ONCE = 32
"""Connections that mint the pool of consumers: enough to be quick, few enough to be polite."""

MAX_REMEMBERED = 200_000
"""Open conversations that are remembered to be closed at the end; what is beyond stays open and is counted."""


class OpenConversation(msgspec.Struct, frozen=True, gc=False):
    """A conversation to be closed, and the header line of the consumer it belongs to."""

    conversation_id: str
    on_behalf: bytes


class Session:
    """The shared part of one worker's users.

    Args:
        plan: the plan of the run.
        catalogue: the payload files.
        target: the URL that the plan's target stands for.
        context: the TLS context of this process.
        worker: the number of this worker among `workers`.
        run_id: makes the consumer ids of this run its own.
        records: where results go.
        pacing: when users start; without one, as under the stock `locust` command, Locust decides.

    Attributes:
        built: create payloads built so far.
        sent: create requests begun so far, of which `retried` were not the first of their payload.
        in_flight: requests of any kind that wait for their answer.
        left_open: conversations that could not be closed, or were not remembered.
        no_retries: set when no conversation may be tried again, which wakes those that wait for it.
        retry_random: draws the waits before retries.
        task_errors: what the tester's code raised, and how often.
        other: the session of the second target, where two are compared; `alternation` says whose window it is.
    """

    def __init__(
        self,
        plan: Plan,
        catalogue: Catalogue,
        target: str,
        context: ssl.SSLContext,
        worker: int,
        workers: int,
        run_id: str,
        records: Records,
        pacing: Pacing | None = None,
    ) -> None:
        self.plan = plan
        self.paced = pacing is not None
        self.other: Session | None = None
        self.alternation: AlternatingTargets | None = None
        self.task_errors: Counter[str] = Counter()
        self.records = records
        self.limits = Limits(plan.connect_timeout_s, plan.timeout_s)
        self.pacing: Pacing = pacing or ClosedPacing(plan, worker, workers)
        self._builder = Builder(catalogue, mix=plan.mix, account=plan.account, seed=plan.seed)
        self._target = Origin(target, context)
        self._worker, self._workers, self._run_id = worker, workers, run_id
        self._consumers_named = self._users = 0
        self._pool: deque[str] = deque()
        self._to_close: deque[OpenConversation] = deque()
        self.built = self.sent = self.retried = self.in_flight = self.left_open = 0
        self.no_retries = Event()
        self.retry_random = random.Random(f"{plan.seed}/{worker}/retry")

    def open(self, credentials: Credentials | None, environment: Mapping[str, str]) -> None:
        """Finds the services and gets the tokens; `credentials` are needed unless consumers = "none".

        Raises:
            TargetError: the target cannot be used.
            UsageError: a look-up leads where it is not allowed to fire.
        """
        plan = self.plan
        self.services = locate(self._target, plan.account, self.limits, plan.allow_hosts, lookup=plan.lookup)
        self.fixed_on_behalf = b""
        if credentials is None:
            self._set_heads(environment.get(FIXED_AUTHORIZATION, ""))
            self.fixed_on_behalf = on_behalf_line(environment.get(FIXED_ON_BEHALF, ""))
            return
        app_tokens = AppTokens(self.services, plan.account, credentials, self.limits, self.records)
        app_tokens.mint()
        self._set_heads(app_tokens.token)
        self._consumer_tokens = ConsumerTokens(self.services, plan.account, app_tokens, self.records)
        gevent.spawn(app_tokens.renew_forever, lambda: self._set_heads(app_tokens.token))
        if plan.consumers == "pool":
            self._fill_pool(plan.pool_size or plan.conversations or 0)

    def _set_heads(self, authorization: str) -> None:
        headers = calls.JSON | ({paths.AUTHORIZATION: authorization} if authorization else {})
        messaging = self.services.messaging
        self.create_head = calls.head("POST", paths.create(self.plan.account), messaging, headers)
        self.send_head = calls.head("POST", paths.send(self.plan.account), messaging, headers)

    def _fill_pool(self, size: int) -> None:
        """Mints this worker's share of the pool before the run."""
        share = share_of(size, self._worker, self._workers)
        workers = min(MINTING_AT_ONCE, share)
        minting = Pool(workers)
        for position in range(workers):
            minting.spawn(self._mint_some, len(range(position, share, workers)))
        minting.join()
        if len(self._pool) < share:
            raise TargetError(f"pool of consumers: {share - len(self._pool)} of {share} could not be minted")

    def _mint_some(self, count: int) -> None:
        client = Client(self.services.idp, self.limits)
        for _ in range(count):
            if minted := self.mint_consumer(client):
                self._pool.append(minted)
        client.close()

    def mint_consumer(self, client: Client) -> str:
        """Returns the ConsumerJWS of a consumer nobody had before, "" if it is refused."""
        self._consumers_named += 1
        return self._consumer_tokens.mint(client, f"convload-{self._run_id}-{self._worker}-{self._consumers_named}")

    def take_consumer(self) -> str:
        """Returns a minted consumer of the pool; without one left, "" and the run ends early."""
        if not self._pool:
            self.pacing.run_dry("the pool of consumers is used up")
            return ""
        return self._pool.popleft()

    def next_user(self) -> int:
        """Returns a number that no other user of the run has."""
        self._users += 1
        return self._worker + (self._users - 1) * self._workers

    def task_raised(self, user: object, error: Exception) -> None:
        """Counts what the tester's code raised, and logs it once with its traceback."""
        what = f"{type(error).__name__}: {error}"
        if what not in self.task_errors:
            logging.getLogger(__name__).error("a task of %s raised", type(user).__name__, exc_info=error)
        self.task_errors[what] += 1

    def build(self, variant: str = "") -> Payload:
        """Returns this worker's next payload, of that variant or as the mix has it.

        The indices of all workers together have no double.
        """
        index = self._worker + self.built * self._workers
        self.built += 1
        return self._builder.build_variant(variant, index) if variant else self._builder.build(index)

    def close_later(self, conversation: OpenConversation) -> None:
        """Remembers a conversation that is to be closed when the run has ended."""
        if len(self._to_close) < MAX_REMEMBERED:
            self._to_close.append(conversation)
        else:
            self.left_open += 1

    def next_to_close(self) -> OpenConversation | None:
        """Returns a remembered conversation, which is then forgotten."""
        return self._to_close.popleft() if self._to_close else None

    def forget_the_rest(self) -> None:
        """Counts what is still remembered as left open."""
        self.left_open += len(self._to_close)
        self._to_close.clear()


def on_behalf_line(token: str) -> bytes:
    """Returns the header line that names the consumer, empty without one."""
    return f"{paths.ON_BEHALF}: {token}\r\n".encode("latin-1") if token else b""
