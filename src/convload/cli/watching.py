"""What follows a run while it goes on, as the flags of the verbs that run ask for it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from convload.addresses import parse_address, write_address
from convload.errors import UsageError
from convload.live.gates import GateWatch
from convload.live.searching import SearchSoFar
from convload.live.terminal import TerminalShow
from convload.live.watching import Show, Watching
from convload.outputs.scrape import DEFAULT_ADDRESS
from convload.plan.plan import Plan
from convload.results.progress import Progress
from convload.run.by_hand import ByHand
from convload.run.steering import Judging

WEB_ADDRESS = "127.0.0.1:8900"


class Wanted(msgspec.Struct, frozen=True):
    """What is to follow a run: addresses as they were written, None where they are not asked for."""

    web: str | None = None
    prometheus: str | None = None
    otlp: bool = False


def watching_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the flags."""
    web = _address_option("--web", WEB_ADDRESS, "Show the run on a page there while it goes on.")
    prometheus = _address_option("--prometheus", DEFAULT_ADDRESS, "Let Prometheus scrape the run there.")
    otlp = click.option("--otlp", is_flag=True, help="Send metrics to OpenTelemetry, as OTEL_* variables say.")
    return web(prometheus(otlp(command)))


def _address_option(flag: str, default: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        flag, metavar="[HOST:PORT]", is_flag=False, flag_value=default, help=f"{text}  [default: {default}]"
    )


@contextmanager
def watching(wanted: Wanted, plan: Plan) -> Iterator[Watching]:
    """Starts all that is to follow a run of a plan, and to steer it; whatever comes, it is ended with the block."""
    if plan.interactive and wanted.web is None:
        raise UsageError("interactive: the load is changed on the page of the run; give --web too")
    progress, gates, judging = Progress(), GateWatch(), Judging.of(plan)
    by_hand = ByHand(plan, progress, judging)
    terminal = TerminalShow(sys.stderr, gates)
    shows: list[Show] = [terminal]
    found = Watching(progress, shows, steering=judging if wanted.web is None else by_hand)
    try:
        if terminal.redraws or wanted.web is not None:
            shows.append(gates)
        if wanted.prometheus is not None:
            shows.append(_metrics(progress, wanted.prometheus))
        if wanted.otlp:
            shows.append(_pushing(progress))
        if wanted.web is not None:
            shows.append(_page(plan, progress, gates, by_hand, wanted.web))
        yield found
    finally:
        found.close()


@contextmanager
def watching_search(so_far: SearchSoFar) -> Iterator[Callable[[Path], None]]:
    """Shows a search on a terminal; elsewhere there is a line a trial, and that is enough."""
    terminal = TerminalShow(sys.stderr, GateWatch(), more=so_far.rows)
    watch = Watching(Progress(), [terminal] if terminal.redraws else [])
    try:
        yield watch.update
    finally:
        watch.close()


def _page(plan: Plan, progress: Progress, gates: GateWatch, by_hand: ByHand, address: str) -> Show:
    from convload.live.page import Page  # noqa: PLC0415 -- as below
    from convload.live.web import WebShow  # noqa: PLC0415 -- brings a web server with it

    page = Page(plan, progress, gates, by_hand.refusal)
    show = WebShow(page, by_hand.refusal, by_hand.ask, *parse_address(address, "--web", lowest_port=0))
    click.echo(f"convload: the run is shown at {show.address}", err=True)
    return show


def _pushing(progress: Progress) -> Show:
    from convload.live.pushing import Pushing  # noqa: PLC0415 -- as below

    return Pushing(progress)


def _metrics(progress: Progress, address: str) -> Show:
    from convload.live.metrics import MetricsServer  # noqa: PLC0415 -- brings a web server with it

    host, port = parse_address(address, "--prometheus", lowest_port=0)
    server = MetricsServer(progress, host, port)
    click.echo(f"convload: metrics for Prometheus at http://{write_address(host, server.port)}/metrics", err=True)
    return server
