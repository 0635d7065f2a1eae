"""`convload mock`: the mock on its own."""

import typing
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from convload.cli.options import PATH
from convload.errors import UsageError
from convload.mistakes import Mistake, find_mistakes
from convload.plan.mock_behaviour import EARLIER, Behaviour, flag_of, hint_of

EPILOG = """\b
Examples:
  convload mock                                             on a free port, whose URL is the one line it prints
  convload mock --port 8080 --auth off                      no tokens, for stubs and raw speed
  convload mock --tls --service-time 'lognormal(40ms, 0.5)' --http-429-share 0.01 --reset-share 0.001
  convload mock --servers 8 --service-time 'lognormal(20ms, 0.4)' --queue 64 --shed 503 --retry-after 1s
"""

_ON_OFF = {"on": True, "off": False}
_TYPES: dict[object, Any] = {
    bool: click.Choice(list(_ON_OFF)),
    int: click.INT,
    float: click.FLOAT,
    str: click.STRING,
}

Command = Callable[..., Any]


def _behaviour_options(command: Command) -> Command:
    """Adds one option for each setting of the mock, with its own description."""
    hints = typing.get_type_hints(Behaviour, include_extras=True)
    for field in reversed(msgspec.structs.fields(Behaviour)):
        command = _option(field.name, hints[field.name], field.default)(command)
    return command


def _option(name: str, hint: Any, default: Any) -> Callable[[Command], Command]:
    kind = hint.__origin__
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    return click.option(
        flag_of(name),
        type=click.Choice(choices) if choices else _TYPES[kind],
        default=default if kind is not bool else "on" if default else "off",
        show_default=default != "",
        hidden=name in EARLIER,
        help=next(meta.description for meta in hint.__metadata__ if meta.description),
    )


@click.command(epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0 takes any free one.")
@click.option("--tls", is_flag=True, help="Serve https with a certificate made now; its CA file is in the line.")
@click.option("--tls-port", type=click.IntRange(0, 65535), help="Serve https at this port too, and http at --port.")
@click.option("--tls-cert", type=PATH, help="Serve https with this PEM certificate chain.")
@click.option("--tls-key", type=PATH, help="The private key, where it is not in that file.")
@click.option("--until-stdin-closes", is_flag=True, hidden=True)
@_behaviour_options
def mock(
    host: str,
    port: int,
    tls: bool,
    tls_port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    until_stdin_closes: bool,
    **settings: Any,
) -> None:
    """Serve the API on this machine until stopped, as the contract says or as badly as asked.

    Prints one line of JSON with the base URL once it listens, and with --servers its capacity on standard error.
    Service times and servers meet the create call only. GET /__mock__/stats and /__mock__/ledger say what came in
    and what was accepted, /__mock__/truth the capacity and the times expected at ?rate=R. CONVLOAD_CLIENT_ID and
    CONVLOAD_CLIENT_SECRET, where set, are the credentials it asks for.
    """
    # uvloop and httptools are for this verb alone; the others start without them.
    from convload.mock.process import Serving  # noqa: PLC0415 -- as said
    from convload.mock.server import run  # noqa: PLC0415 -- as said

    serving = Serving(
        behaviour=_read_behaviour(settings),
        host=host,
        port=port,
        tls=tls,
        tls_port=tls_port,
        tls_cert=None if tls_cert is None else str(tls_cert),
        tls_key=None if tls_key is None else str(tls_key),
        until_stdin_closes=until_stdin_closes,
    )
    run(serving, partial(_announce, serving.behaviour, host))


def _announce(behaviour: Behaviour, host: str, line: str) -> None:
    """Prints the one line for programs, and on standard error what a person may want to know of it."""
    click.echo(line)
    if token := msgspec.json.decode(line).get("token"):
        click.echo(
            f"convload: warning: this mock listens on {host}, and whoever reaches it can use it; what it has seen "
            f"(/__mock__/…) is shown only to those who send X-Mock-Token: {token}",
            err=True,
        )
    if behaviour.servers:
        # NumPy is slow to import; a mock without servers has nothing to reckon.
        from convload.mock.truth import describe, truth_of  # noqa: PLC0415 -- as said

        for text in describe(truth_of(behaviour), behaviour):
            click.echo(text, err=True)


def _read_behaviour(settings: dict[str, Any]) -> Behaviour:
    settings = {name: _ON_OFF.get(value, value) for name, value in settings.items()}
    mistakes = find_mistakes(settings, Behaviour)
    if mistakes:
        raise UsageError(*map(_as_flag, mistakes))
    given = click.get_current_context().get_parameter_source
    written = {name: value for name, value in settings.items() if given(name) is ParameterSource.COMMANDLINE}
    if hint := hint_of(written, as_flags=True):
        click.echo(f"convload: note: {hint}", err=True)
    return msgspec.convert(settings, Behaviour)


def _as_flag(mistake: Mistake) -> str:
    name = mistake.path.removeprefix("$").removeprefix(".")
    return f"{flag_of(name)}: {mistake.what}" if name else mistake.what
