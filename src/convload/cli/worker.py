"""`convload worker`: fires for a run that another machine started."""

import click

from convload.addresses import parse_address
from convload.errors import UsageError
from convload.plan.durations import parse_duration_s

EPILOG = """\b
Examples:
  convload run --target https://HOST --allow-host HOST --bind 10.0.0.5:5557 --expect-workers 2     on one machine
  convload worker 10.0.0.5:5557                                                                    on two others
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
def worker(address: str, join_within: str) -> int:
    """Join the run that listens at HOST:PORT, fire its share of the load, and end with it.

    The plan and all its files come from there; credentials do not: set CONVLOAD_CLIENT_ID and
    CONVLOAD_CLIENT_SECRET here too.
    """
    host, port = parse_address(address, "HOST:PORT")
    within_s = parse_time(join_within, "--join-within")
    # It imports Locust, which patches the process: not before it is sure to be needed.
    from convload.load.processes.worker import join  # noqa: PLC0415 -- as said

    join(host, port, within_s)
    return 0
