"""`convload worker`: fires for a run that another machine started; and how `convload run` waits for such workers."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from convload.addresses import parse_address, write_address
from convload.errors import ExitCode, UsageError, why_unread
from convload.load.processes.keys import parse_key
from convload.load.processes.rules import ANY, Rules
from convload.machine import usable_cores, workers_for_all_cores
from convload.plan.durations import parse_duration_s
from convload.plan.plan import AUTO, MOCK, Plan
from convload.plan.sources import WORKER_KEY
from convload.private import read_private
from convload.run.execution import Joining

DEFAULT_JOIN_WITHIN = "120s"
DEFAULT_GRACE = "20s"
MOST_PROCESSES = 500

EPILOG = """\b
Examples:
  convload run --target https://HOST --allow-host HOST --bind 10.0.0.5:5557 --expect-workers 2 --key-file worker.key
  convload worker 10.0.0.5:5557 --key-file worker.key --allow-host HOST
"""


def parse_time(text: str, where: str) -> float:
    """Returns the seconds of a duration.

    Raises:
        UsageError: it is none.
    """
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


@click.command(epilog=EPILOG)
@click.argument("address", metavar="HOST:PORT")
@click.option("--join-within", metavar="TIME", default="60s", show_default=True, help="How long to try to connect.")
@click.option("--key-file", metavar="FILE", help="The key of the run, as `convload key new` made it.")
@click.option(
    "--allow-host",
    metavar="HOST",
    multiple=True,
    help="A host other than this machine that may be fired at and given credentials; also CONVLOAD_ALLOW_HOSTS.",
)
@click.option("--allow-hosts-file", metavar="FILE", help="A file of such hosts, one a line; # begins a remark.")
@click.option("--source-address", metavar="ADDRESS", multiple=True, help="Of this machine: fire from it, in turns.")
@click.option("--workers", metavar="N|auto", default="1", help="How many processes; auto: one a core of this machine.")
@click.option(
    "--allow-code",
    metavar="[SHA256]",
    multiple=True,
    is_flag=False,
    flag_value=ANY,
    help="A locustfile of the run that may run here; without SHA256 any. The bundled one always may.",
)
@click.option("--ca-file", metavar="FILE", help="PEM certificates to trust in place of the system's.")
@click.option("--allow-unverified-tls", is_flag=True, help="Let the plan say verify_tls = false.")
@click.pass_context
def worker(
    context: click.Context,
    address: str,
    join_within: str,
    key_file: str | None,
    allow_host: tuple[str, ...],
    allow_hosts_file: str | None,
    source_address: tuple[str, ...],
    workers: str,
    allow_code: tuple[str, ...],
    ca_file: str | None,
    allow_unverified_tls: bool,
) -> int:
    """Join the run that listens at HOST:PORT, fire its share of the load, and end with it.

    The plan and all its files come from there; credentials do not: set CONVLOAD_CLIENT_ID and
    CONVLOAD_CLIENT_SECRET here too. The key of the run is in --key-file or CONVLOAD_WORKER_KEY. Whatever comes, it
    fires only where it may, and runs only code that it may.
    """
    host, port = parse_address(address, "HOST:PORT")
    within_s = parse_time(join_within, "--join-within")
    key = find_key(key_file)
    allow_host += _read_hosts(allow_hosts_file) if allow_hosts_file else ()
    rules = Rules.of_flags(
        allow_host,
        allow_code,
        os.environ,
        unverified=allow_unverified_tls,
        ca_file=ca_file,
        source_addresses=source_address,
    )
    if (count := _count_processes(workers)) > 1:
        return run_several(count, list(_arguments(context)))
    # It imports Locust, which patches the process: not before it is sure to be needed.
    from convload.load.processes.worker import join  # noqa: PLC0415 -- as said

    join(host, port, key, rules, within_s)
    return 0


def _count_processes(written: str) -> int:
    if written == "auto":
        return max(int(usable_cores()), 1)
    if not (written.isascii() and written.isdigit() and 1 <= int(written) <= MOST_PROCESSES):
        raise UsageError(f"--workers: {written!r} must be auto or a whole number of 1 to {MOST_PROCESSES}")
    return int(written)


def _read_hosts(path: str) -> tuple[str, ...]:
    try:
        lines = [line.partition("#")[0].strip() for line in Path(path).read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--allow-hosts-file: {path}: cannot be read: {why_unread(error)}") from error
    return tuple(filter(None, lines))


def _arguments(context: click.Context) -> Iterator[str]:
    """Yields the command line of one of several processes: as this one's, but for their number."""
    for parameter in context.command.params:
        value = context.params[parameter.name or ""]
        name = parameter.opts[0]
        if isinstance(parameter, click.Argument):
            yield value
        elif value is True:
            yield name
        elif value and parameter.name != "workers":
            yield from (f"{name}={one}" for one in (value if parameter.multiple else [value]))


def run_several(count: int, arguments: list[str]) -> int:
    """Runs that many workers as processes of their own and passes signals on; returns the highest exit code.

    One that is killed counts as one that lost its run.
    """
    command = [sys.executable, "-m", "convload.cli", "worker", *arguments]
    # Sessions of their own: Ctrl-C reaches this one alone, and each is told once.
    processes = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]  # noqa: S603 -- ourselves

    def pass_on(number: int, _: object) -> None:
        for process in processes:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    codes = [process.wait() for process in processes]
    return max(code if code >= 0 else int(ExitCode.INCONCLUSIVE) for code in codes)


def find_key(file: str | None) -> str:
    """Returns the key that the processes of a run on several machines share.

    Raises:
        UsageError: there is none, or what is there is none.
    """
    if file is None and not os.environ.get(WORKER_KEY):
        raise UsageError(
            "key: a run and its workers on other machines need a common key: `convload key new --out FILE` makes one; "
            f"give it to each with --key-file FILE or {WORKER_KEY}"
        )
    if not file:
        return parse_key(os.environ[WORKER_KEY], WORKER_KEY)
    return parse_key(read_private(Path(file), f"--key-file: {file}", "take part in runs"), file)


def joining_of(
    bind: str | None,
    expected: int | None,
    within: str | None,
    key_file: str | None,
    grace: str | None,
    least: int | None,
    *,
    dry_run: bool,
) -> Joining | None:
    """Returns how workers of other machines take part in a run, from its flags; None where they do not.

    Raises:
        UsageError: the flags do not fit together, or name no address of this machine.
    """
    if bind is None:
        if expected or within or key_file or grace or least:
            raise UsageError(
                "--expect-workers, --min-workers, --join-within, --key-file, --grace: are for workers of other "
                "machines; give --bind HOST:PORT"
            )
        return None
    if expected is None:
        raise UsageError("--bind: give --expect-workers N, how many workers the run waits for")
    if least and least > expected:
        raise UsageError(f"--min-workers: {least} are more than the {expected} of --expect-workers")
    name, port = parse_address(bind, "--bind", lowest_port=0)
    within_s = parse_time(within or DEFAULT_JOIN_WITHIN, "--join-within")
    grace_s = parse_time(grace or DEFAULT_GRACE, "--grace")
    host, key = (name, "") if dry_run else (_address_of(name), find_key(key_file))
    announce = partial(_announce_address, host, expected=expected, within_s=within_s)
    return Joining(host, port, key, expected, within_s, grace_s, announce, least or 0)


def _address_of(name: str) -> str:
    """Returns the address of a name, an IPv4 one where it has both."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"--bind: {name!r} is no address of this machine: {error.strerror}") from error
    return str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])


def _announce_address(host: str, port: int, *, expected: int, within_s: float) -> None:
    address = write_address(host, port)
    wanted = f"{expected} worker{'s' * (expected > 1)}"
    click.echo(
        f"convload: waiting up to {within_s:g} s for {wanted}: convload worker {address} --key-file FILE", err=True
    )


def count_workers(given: str | None, joining: Joining | None) -> str | None:
    """Returns the number of all workers as a flag; where others join, those of this machine must be asked for."""
    if joining is None:
        return given
    if given == AUTO:
        given = str(workers_for_all_cores())
    if given is None:
        return str(joining.expected)
    return str(int(given) + joining.expected) if given.isascii() and given.isdigit() else given


def check_reach(plan: Plan, joining: Joining) -> None:
    """Raises UsageError where workers of other machines could not reach the target."""
    if plan.target == MOCK and not ipaddress.ip_address(joining.host).is_loopback:
        raise UsageError(
            "target: the embedded mock listens on this machine alone, other machines do not reach it; "
            "start `convload mock --host ADDRESS` and name it with --target and --allow-host"
        )
