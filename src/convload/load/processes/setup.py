"""What the processes of a load are set up with: user classes, files they may open, how many users begin."""

import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import gevent
from locust import User
from locust.env import Environment
from locust.exception import RPCError
from locust.runners import STATE_INIT, MasterRunner
from locust.util.load_locustfile import is_user_class

from convload.addresses import write_address
from convload.errors import UsageError
from convload.load.processes.members import Member
from convload.load.processes.messages import Ping, ProcessMessage, Setup
from convload.load.users import ConversationUser
from convload.plan.needs import files_needed
from convload.plan.plan import Plan

MODULE, UNNAMED = "convload_locustfile", "locustfile"

EXPECTED_SERVICE_S = 0.02
"""Of a quick target: by Little's law rate × this is how many users an open load needs at once. It begins with these,
and a slower target makes it grow; too many at the start would all connect at once."""

FIRST_USERS_A_WORKER = 10

EXCHANGES = 5
EXCHANGE_EVERY_S = 0.02
"""So that they take a tenth of a second, and a pause of the collector or another process spoils one or two of them."""

EXCHANGES_TIMEOUT_S = 2.0


def load_users(text: str, path: str | None = None) -> list[type[User]]:
    """Returns the user classes that a locustfile defines, from its text as it came with the plan; `path` names it.

    Raises:
        UsageError: the file cannot be run, or defines no user class that holds conversations.
    """
    name = path or UNNAMED
    module = sys.modules[MODULE] = ModuleType(MODULE)
    module.__file__ = name
    sys.path.insert(0, str(Path.cwd()))  # as Locust has it
    try:
        exec(compile(text, name, "exec"), vars(module))  # noqa: S102 -- a locustfile is code
    except (Exception, SystemExit) as error:  # a tester's file may raise anything
        raise failure_in_file(error, path) from error
    users = [user for user in vars(module).values() if is_user_class(user)]
    users = [user for user in dict.fromkeys(users) if user.weight > 0 or user.fixed_count > 0]
    ours = [user for user in users if issubclass(user, ConversationUser)]
    if not ours:
        names = ", ".join(user.__name__ for user in users)
        defined = f"{names}, of which none holds conversations" if users else "no user class"
        raise UsageError(f"{name}: defines {defined}; subclass convload.ConversationUser")
    if idle := [user.__name__ for user in ours if not user.tasks]:
        raise UsageError(f"{name}: {', '.join(idle)}: has no task; mark what a user does with @task")
    return users


def failure_in_file(error: BaseException, path: str | None, where: str = "") -> UsageError:
    """Returns what is said of an exception that a tester's file raised, with its line there."""
    name = path or UNNAMED
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    line = f":{frames[-1]}" if frames else ""
    return UsageError(f"{name}{line}: {type(error).__name__}: {error}{where}")


def first_users(plan: Plan, setup: Setup) -> int:
    """Returns how many users an open load begins with; it grows as it needs.

    Nobody knows what a run that is held open will need, and users that are added in the middle of a load come late.
    """
    if setup.held_open:
        return plan.max_in_flight
    rates = [max(stage.from_rate, stage.to_rate) for stage in plan.resolved_stages()] or [0.0]
    expected = int(max(rates) * EXPECTED_SERVICE_S)
    return min(max(expected, FIRST_USERS_A_WORKER * setup.workers), plan.max_in_flight)


def spawn_users(runner: MasterRunner, plan: Plan, setup: Setup) -> None:
    """Has Locust's coordinator start the users that a run begins with."""
    users = plan.users if plan.model == "closed" else first_users(plan, setup)
    runner.start(users, users / plan.ramp_s if plan.ramp_s else float(users))
    # In its state "running" Locust deals all users out anew when workers come or go: it would stop users in the
    # middle of a request. Who takes over is decided by ours alone.
    runner.update_state(STATE_INIT)


def measure_clocks(members: Iterable[Member], send: Callable[[str, ProcessMessage], None]) -> None:
    """Exchanges times with all workers and waits for their answers, though not for ever."""
    for _ in range(EXCHANGES):
        for member in members:
            send(member.node, Ping(time.monotonic()))
        gevent.sleep(EXCHANGE_EVERY_S)
    deadline_s = time.monotonic() + EXCHANGES_TIMEOUT_S
    while not all(member.has_answered for member in members) and time.monotonic() < deadline_s:
        gevent.sleep(EXCHANGE_EVERY_S)


def raise_file_limit(plan: Plan, workers: int, *, strict: bool = True) -> None:
    """Makes room for a connection to each of two services for every user of this worker.

    In the middle of a run it is not `strict`: there it makes as much room as it may.

    Raises:
        UsageError: the hard limit of this machine does not allow it.
    """
    needed = files_needed(plan.users, workers, 2 if plan.target_b else 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        if not strict:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return
        raise UsageError(
            f"users: {plan.users} users on {workers} workers need {needed} file descriptors a worker; the hard "
            f"limit is {hard}. Raise it (ulimit -Hn {needed}, or LimitNOFILE= in systemd) or take more workers"
        )
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def listen(environment: Environment, host: str, port: int) -> Any:
    """Returns Locust's runner of a coordinator, which listens there.

    Raises:
        UsageError: it cannot.
    """
    try:
        return environment.create_master_runner(host, port)
    except (RPCError, SystemExit) as error:  # Locust ends the process where the port is taken
        raise UsageError(
            f"--bind {write_address(host, port)}: cannot be listened on, is it free and of this machine?"
        ) from error
