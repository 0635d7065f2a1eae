"""Reads one variant file: a payload with slots, and what is said about it."""

from typing import Annotated, Any

import msgspec
import orjson

from convload.contract.outcomes import OK, of_status
from convload.contract.requests import check_request
from convload.mistakes import Mistake, find_mistakes
from convload.payloads.payload import Variant, bind, random_bits
from convload.payloads.positions import Mistakes, Positions
from convload.payloads.slots import Pools
from convload.payloads.template import Template, compile_template

NEGATIVE = "negative/"

EXPECTATIONS = frozenset({OK, *map(of_status, range(400, 600))})
"""What a variant may be meant to meet."""

SAMPLE_ACCOUNT = "12345678"
SAMPLE_SEED = 7

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="letters, digits, ., - and _, 64 of them at most, a letter or digit first",
    ),
]


class VariantFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as it is written; payloads/README.md explains it."""

    payload: Any
    description: Annotated[str, msgspec.Meta(min_length=1)]
    name: Name
    expect: str = OK
    headers: dict[str, str | dict[str, Any] | list[Any]] = {}
    schema: str = msgspec.field(default="", name="$schema")


def read_variant(path: str, text: str, pools: Pools, samples: int) -> tuple[Variant | None, Mistakes]:
    """Returns a compiled variant, and its mistakes; so many `samples` of it are held against the contract.

    The name of the file is that of the variant, unless it says another.
    """
    try:
        document = orjson.loads(text)
        positions = Positions(text)
        variant, mistakes = _compile(path, document, pools)
        if variant and not mistakes:
            mistakes = _sample_mistakes(variant, samples)
    except orjson.JSONDecodeError as error:
        return None, [(f"{error.lineno}:{error.colno}", error.msg)]
    except RecursionError:
        return None, [("1", "is nested too deeply")]
    mistakes += [Mistake(member, "stands twice") for member in positions.repeated]
    told = [(str(positions.line_of(one.path)), f"{_shown(one.path)}: {one.what}") for one in mistakes]
    return (None if told else variant), told


def _compile(path: str, document: object, pools: Pools) -> tuple[Variant | None, list[Mistake]]:
    if not isinstance(document, dict):
        return None, [Mistake("$", "must be an object with a description and a payload")]
    document.setdefault("name", path.rpartition("/")[2].removesuffix(".json"))
    mistakes = find_mistakes(document, VariantFile)
    if mistakes:
        return None, mistakes
    file = msgspec.convert(document, VariantFile)
    template = compile_template(file.payload, file.headers, pools)
    mistakes = _expect_mistakes(file.expect, path)
    if not isinstance(template, Template):
        return None, mistakes + [Mistake(_in_file(one.path), one.what) for one in template]
    return Variant(file.name, file.description, file.expect, path, template), mistakes


def _expect_mistakes(expect: str, path: str) -> list[Mistake]:
    negative = path.startswith(NEGATIVE)
    if expect in EXPECTATIONS and (expect != OK) == negative:
        return []
    wanted = "an error such as 'http_400' or 'rate_limited'" if negative else f"{OK!r}; others go into {NEGATIVE}"
    return [Mistake("$.expect", f"is {expect!r}; here it must be {wanted}")]


def _sample_mistakes(variant: Variant, samples: int) -> list[Mistake]:
    """Returns the mistakes of the first sample that is not what the variant says of itself."""
    make = bind(variant, SAMPLE_ACCOUNT)
    for index in range(samples):
        mistakes = check_request(make(index, random_bits(SAMPLE_SEED, index)).body, SAMPLE_ACCOUNT).mistakes
        if variant.expect == OK and mistakes:
            return [Mistake(_in_file(one.path), f"{one.what} (in payload {index})") for one in mistakes]
        if variant.expect != OK and not mistakes:
            what = f"is a sound request (payload {index}), but is meant to meet {variant.expect!r}"
            return [Mistake("$.payload", what)]
    return []


def _in_file(path: str) -> str:
    """Returns a path of the payload or of a header as a path of the whole file."""
    return f"$.payload{path[1:]}" if path.startswith("$") else f"$.{path}"


def _shown(path: str) -> str:
    """Returns a path of the file as testers know it: the payload is `$`, the rest goes by its name."""
    inner = path.removeprefix("$.payload")
    return f"${inner}" if inner.startswith((".", "[")) else path.removeprefix("$.")
