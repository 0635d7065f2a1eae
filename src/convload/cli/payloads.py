"""`convload payloads`: what there is to send, any payload again, and a check of the files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson

from convload.cli.options import PATH
from convload.contract.outcomes import OK
from convload.errors import UsageError
from convload.payloads.builder import Builder, Payload
from convload.payloads.catalogue import Catalogue, default_folder, survey_folder

SIZE_SAMPLES = 200
"""How many payloads of a variant are built to tell the range of their sizes."""

MAX_INDEX = 2**64 - 1

_folder_option = click.option(
    "--payloads",
    "folder",
    type=PATH,
    metavar="DIR",
    help="The folder of payloads. Default: ./payloads if it has variants/, else the bundled one.",
)


@click.group()
def payloads() -> None:
    """List, show and check the payloads that runs send."""


@payloads.command(
    "list",
    epilog="""\b
    Example:
      convload payloads list --mix text
    """,
)
@_folder_option
@click.option("--mix", metavar="NAME", help="Only the variants of this mix. Default: all, with shares in `default`.")
def list_variants(folder: Path | None, mix: str | None) -> None:
    """List variants: name, expected outcome, share of the mix, size of the body in bytes, description."""
    catalogue = Catalogue.read(folder or default_folder())
    builder = Builder(catalogue, mix or "default")
    weights = catalogue.mixes[mix or "default"]
    total = sum(weights.values())
    rows = [("NAME", "EXPECT", "SHARE", "BYTES", "DESCRIPTION")]
    for name, variant in sorted(catalogue.variants.items(), key=lambda item: (item[1].expect != OK, item[0])):
        if mix is None or name in weights:
            share = f"{weights[name] / total:.2%}" if name in weights else "-"
            rows.append((name, variant.expect, share, _sizes(builder, name), variant.description))
    for line in _aligned(rows):
        click.echo(line)


def _sizes(builder: Builder, name: str) -> str:
    sizes = [len(builder.build_variant(name, index).body) for index in range(SIZE_SAMPLES)]
    return f"{min(sizes)}-{max(sizes)}" if min(sizes) != max(sizes) else str(min(sizes))


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


@payloads.command(
    epilog="""\b
    Examples:
      convload payloads show --seed 7 --index 1042
      convload payloads show --run reports/latest --index 1042
      convload payloads show --variant text_rtl --index 3 --raw > body.json
    """,
)
@_folder_option
@click.option("--run", "run", type=PATH, metavar="RUN", help="As this run sent it.")
@click.option("--variant", metavar="NAME", help="Build this variant.")
@click.option("--mix", metavar="NAME", help="Let this mix choose the variant, as a run does. Default: default.")
@click.option("--seed", type=click.IntRange(0, MAX_INDEX), help="The seed of the run.  [default: 1]")
@click.option("--index", type=click.IntRange(0, MAX_INDEX), default=0, show_default=True, help="Which payload.")
@click.option("--account", metavar="ID", help="What ${account} stands for.  [default: 12345678]")
@click.option("--raw", is_flag=True, help="The very bytes that are sent, and nothing else.")
def show(
    folder: Path | None,
    run: Path | None,
    variant: str | None,
    mix: str | None,
    seed: int | None,
    index: int,
    account: str | None,
    *,
    raw: bool,
) -> None:
    """Show a payload again, byte for byte what a run with this seed sends as payload INDEX.

    With --run all that is not given is taken from that run's plan: seed, account, mix, folder. What is not the body
    goes to standard error: the variant, what it expects, headers, ids.
    """
    if variant is not None and mix is not None:
        raise UsageError("--variant and --mix: only one of them can choose the variant")
    plan = {} if run is None else _plan_of(run)
    folder = folder or (Path(plan["payloads"]) if plan.get("payloads") else default_folder())
    seed = plan.get("seed", 1) if seed is None else seed
    account = account or plan.get("account", "12345678")
    builder = Builder(Catalogue.read(folder), mix or plan.get("mix", "default"), account, seed)
    payload = builder.build(index) if variant is None else builder.build_variant(variant, index)
    if raw:
        click.echo(payload.body, nl=False)
        return
    click.echo(_heading(payload), err=True)
    click.echo(orjson.dumps(orjson.loads(payload.body), option=orjson.OPT_INDENT_2))


def _plan_of(run: Path) -> dict[str, Any]:
    from convload.results import runlog  # noqa: PLC0415 -- brings NumPy, which no payload needs

    return runlog.read(run).manifest.plan


def _heading(payload: Payload) -> str:
    ids = ", ".join(map(repr, payload.reply_ids)) or "none"
    facts = (
        f"payload {payload.index}: {payload.variant}, expects {payload.expect}, {len(payload.body)} bytes, ids {ids}"
    )
    return "\n".join([facts, *payload.headers.decode("ascii").splitlines()])


@payloads.command(
    epilog="""\b
    Example:
      convload payloads check --payloads ./payloads --samples 1000
    """,
)
@_folder_option
@click.option(
    "--samples",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="How many payloads of each variant to build and hold against the API's rules.",
)
def check(folder: Path | None, samples: int) -> None:
    """Check every file and samples of every variant; all mistakes are told, with file and line."""
    catalogue, problems = survey_folder(folder or default_folder(), samples)
    if problems:
        raise UsageError(*problems)
    click.echo(
        f"{catalogue.origin}: {len(catalogue.variants)} variants, {len(catalogue.mixes)} mixes, "
        f"{samples} payloads of each variant: no mistakes"
    )
