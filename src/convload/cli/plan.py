"""`convload plan`: what a plan may say, whether it is sound, and what comes of it with environment and flags."""

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from convload.bundled import find_plan
from convload.cli.options import PATH
from convload.cli.run import run
from convload.errors import UsageError
from convload.plan.plan import Plan, assemble, public_types, settle
from convload.plan.schema import schema as schema_of_plans
from convload.plan.written import write_toml
from convload.run.files import read_inputs

_DEFAULT, _SETTLED = "default", "follows from other keys"
_SEVERAL = {
    "allow_host": "allow_hosts",
    "gates": "gates",
    "abort_when": "abort_when",
    "tags": "tags",
    "source_addresses": "source_addresses",
}
"""Flags that may be given several times, and their keys."""


@click.group()
def plan() -> None:
    """Show and check plans, as in `convload plan check plans/gate.toml`."""


@plan.command(epilog="\b\nExample:\n  convload plan schema > plan.schema.json\n")
def schema() -> None:
    """Print the JSON schema of plan files, for editors.

    A plan whose first line is `#:schema plan.schema.json` is completed and checked by editors that know TOML.
    """
    click.echo(msgspec.json.format(msgspec.json.encode(schema_of_plans())))


@plan.command(epilog="\b\nExample:\n  convload plan check plans/gate.toml\n")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=PATH)
def check(files: tuple[Path, ...]) -> None:
    """Check plan files, with the payloads, locustfile and recorded starts that they name.

    All mistakes of all files are told, with file and line; nothing is contacted. CONVLOAD_* variables count, as they
    do in a run.
    """
    problems: list[str] = []
    for file in files:
        try:
            read_inputs(assemble(file, os.environ, {}))
        except UsageError as error:
            problems += [problem if str(file) in problem else f"{file}: {problem}" for problem in error.problems]
        else:
            click.echo(f"{file}: no mistakes")
    if problems:
        raise UsageError(*problems)


@plan.command(epilog="\b\nExample:\n  convload plan show gate --rate 50 > frozen.toml\n")
@click.argument("file", metavar="PLAN")
def show(file: str, **flags: Any) -> None:
    """Show the plan that a run would have, every default in its place, and where each value comes from.

    PLAN is a TOML file or the name of a bundled plan; flags are those of `convload run` that change a plan. What is
    printed is a plan itself.
    """
    given = {
        _SEVERAL.get(name, name): (list(value) or None) if name in _SEVERAL else value for name, value in flags.items()
    }
    settled, origins = settle(find_plan(file), os.environ, given)
    click.echo(write_toml(settled, {key: _origin(settled, key, origins) for key in settled.__struct_fields__}))


show.params += [option for option in run.params if _SEVERAL.get(option.name or "", option.name) in public_types()]


def _origin(settled: Plan, key: str, origins: dict[str, str]) -> str:
    """Returns where a value was written; of one that nobody wrote, whether it is the default."""
    if key == "gates":
        written = [origins[one] for one in ("gates", "gates_file", "baseline_gates") if one in origins]
        return ", ".join(written) or _DEFAULT
    if key == "name" and key not in origins:
        return "the file's name"
    same = getattr(settled, key) == getattr(Plan(), key)
    return origins.get(key, _DEFAULT if same else _SETTLED)
