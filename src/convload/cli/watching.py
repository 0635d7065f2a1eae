"""What follows a run while it goes on, as the flags of the verbs that run ask for it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from convload.addresses import parse_address, write_address
from convload.live.gates import GateWatch
from convload.live.terminal import TerminalShow
from convload.live.watching import Show, Watching
from convload.outputs.scrape import DEFAULT_ADDRESS
from convload.results.progress import Progress


class Wanted(msgspec.Struct, frozen=True):
    """What is to follow a run: addresses as they were written, None where they are not asked for."""

    prometheus: str | None = None


def watching_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags."""
    return click.option(
        "--prometheus",
        metavar="[HOST:PORT]",
        is_flag=False,
        flag_value=DEFAULT_ADDRESS,
        help=f"Let Prometheus scrape the run there.  [default: {DEFAULT_ADDRESS}]",
    )(command)


@contextmanager
def watching(wanted: Wanted) -> Iterator[Watching]:
    """Starts all that is to follow a run; whatever comes, it is ended with the block."""
    progress = Progress()
    gates = GateWatch()
    terminal = TerminalShow(sys.stderr, gates)
    shows: list[Show] = [terminal]
    found = Watching(progress, shows)
    try:
        if terminal.redraws:
            shows.append(gates)
        if wanted.prometheus is not None:
            shows.append(_metrics(progress, wanted.prometheus))
        yield found
    finally:
        found.close()


def _metrics(progress: Progress, address: str) -> Show:
    from convload.live.metrics import MetricsServer  # noqa: PLC0415 -- brings a web server with it

    host, port = parse_address(address, "--prometheus", lowest_port=0)
    server = MetricsServer(progress, host, port)
    click.echo(f"convload: metrics for Prometheus at http://{write_address(host, server.port)}/metrics", err=True)
    return server
