"""The Locust user that holds conversations; a locustfile subclasses it and says what a user does."""

import random
import time
from collections.abc import Callable
from typing import Any

from gevent import GreenletExit
from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, DefaultTaskSet, TaskSet

from convload.contract.answers import Answer
from convload.load.conversation import Consumer
from convload.load.pacing.protocol import NOW
from convload.load.session import Session
from convload.load.stock import session_of
from convload.load.target import OpenConversation

PAUSE_WITHOUT_CONNECTION_S = 0.1
"""A user that gets no connection waits this long: refused connections are no load, and a dead target would
otherwise be asked thousands of times a second."""

PAUSE_WITHOUT_TOKEN_S = 1.0


class ConversationUser(User):  # type: ignore[misc]  # Locust's classes come without checked types
    """A consumer that opens conversations.

    Subclass it, mark methods with Locust's `@task` and call `create_conversation`, `send_message` and
    `end_conversation` in them. It runs under `convload run` and under the stock `locust` command.
    """

    abstract = True

    mix = ""
    """The mix that this class takes its payloads from; "" is the plan's."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._consumers: list[Consumer] = []  # one for each target
        self._due_s = NOW
        self._variant = ""
        self._raised = False
        self._nested = any(isinstance(task, type) and issubclass(task, TaskSet) for task in self.tasks)

    @property
    def session(self) -> Session:
        """What this user shares with the others of its process."""
        if not self._consumers:
            self._consumers = [Consumer(target) for target in session_of(self.environment).targets]
            self._consumer = self._consumers[0]
        return self._consumer.target.session

    def create_conversation(self, variant: str = "", mix: str = "") -> OpenConversation | None:
        """Creates a conversation with the next payload; None when there is none, which the results show.

        The payload is of `variant`, or one of `mix`; where neither is given, of the variant that a replayed start
        names, or one of this class's `mix`, or one of the plan's.
        """
        if self._nested and self.session.paced and not self._take(self.session):
            raise StopUser
        due_s, self._due_s = self._due_s, NOW
        if not variant and not mix:
            variant, mix = self._variant, self.mix
        return self._consumer.create(due_s, variant, mix)

    def send_message(self, opened: OpenConversation, text: str) -> Answer:
        """Sends a text message into an open conversation."""
        return self._consumer.send(opened, text)

    def end_conversation(self, opened: OpenConversation | None) -> None:
        """Closes a conversation now if its consumer is to be used again, else when the run has ended."""
        self._consumer.end(opened)

    def close_conversation(self, opened: OpenConversation) -> Answer:
        """Closes a conversation now."""
        return self._consumer.close(opened)

    # -- how Locust runs a user --

    def wait_time(self) -> float:
        """Draws the plan's think time; Locust's own loop asks for it."""
        return self.session.pacing.think_s()

    def run(self) -> None:
        """Runs tasks until the plan's end; under the stock `locust` command in Locust's own way.

        Locust's task loop costs a good part of a whole request here, so a plan's run has one of its own. It
        knows plain tasks with weights; a user with nested task sets goes through Locust's, and asks the pacing
        when it creates a conversation.
        """
        session = self.session
        if not session.paced:
            super().run()
            return
        try:
            self._starts = session.pacing.of_class(type(self).__name__)
            with self._starts.taking_part():
                self._run_paced(session)
        except (GreenletExit, StopUser):
            pass
        except Exception as error:  # noqa: BLE001 -- a tester's on_start or on_stop may raise anything
            session.task_raised(self, error)
        finally:
            for consumer in self._consumers:
                consumer.leave()

    def _run_paced(self, session: Session) -> None:
        self._state = LOCUST_STATE_RUNNING
        if not self._has_started(session):
            return
        try:
            if self._nested:
                self._taskset_instance = DefaultTaskSet(self)
                self._taskset_instance.run()
            else:
                self._run_tasks(session)
        finally:
            self.on_stop()

    def _has_started(self, session: Session) -> bool:
        """Whether `on_start` went well; where it is the first thing that fails in a run, the run is called off."""
        try:
            self.on_start()
        except Exception as error:
            if session.built:
                raise
            session.on_failed_start(self, error)
            return False
        return True

    def _run_tasks(self, session: Session) -> None:
        tasks: list[Callable[[ConversationUser], None]] = self.tasks
        pick = random.Random(session.plan.seed + session.next_user())  # noqa: S311 -- choices, the same for a seed
        while self._take(session):
            task = tasks[0] if len(tasks) == 1 else pick.choice(tasks)
            try:
                task(self)
            except StopUser:
                raise
            except Exception as error:  # noqa: BLE001 -- a tester's code may raise anything; the run goes on
                session.task_raised(self, error)
                self._raised = True
            self._rest(session)

    def _take(self, session: Session) -> bool:
        """Waits until this user is to start a conversation; False when it is to go home.

        In the open model it makes ready before: its consumer and its connection must not be charged to an
        arrival.
        """
        if session.plan.model == "open":
            for consumer in self._consumers:
                if not consumer.is_ready:
                    self._prepare(consumer, session)
        due_s = self._starts.take()
        if due_s is None or self._state == LOCUST_STATE_STOPPING:
            return False
        self._due_s = due_s
        self._variant = self._starts.variant
        if session.alternation is not None:
            self._consumer = self._consumers[session.alternation.index_at(due_s or time.monotonic())]
        return True

    def _prepare(self, consumer: Consumer, session: Session) -> None:
        session.preparing += 1
        try:
            while not consumer.make_ready() and not session.pacing.stopped.is_set():
                session.pacing.pause(PAUSE_WITHOUT_TOKEN_S)
        finally:
            session.preparing -= 1

    def _rest(self, session: Session) -> None:
        think_s = session.pacing.think_s()
        if (self._raised or self._consumer.in_vain) and session.plan.model == "closed":
            think_s = max(think_s, PAUSE_WITHOUT_CONNECTION_S)
            self._raised = self._consumer.in_vain = False
        if think_s:
            session.pacing.pause(think_s)
