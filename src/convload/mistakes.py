"""Reads TOML; finds every mistake in a value that should fit a msgspec type, where msgspec stops at the first."""

import difflib
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator

import msgspec

MOST_DOTS = 200
"""In a line of TOML beside its texts: each is a table in a table, and Python's parser takes their square in time."""

_QUOTED = re.compile(r"""\"[^"\n]*\"|'[^'\n]*'""")


def parse_toml(text: str) -> dict[str, typing.Any]:
    """Reads TOML as tomllib does, in bounded time.

    Raises:
        tomllib.TOMLDecodeError: it is none.
        RecursionError: it is nested too deeply.
        ValueError: it holds a whole number of more digits than Python reads.
    """
    if any(line.count(".") > MOST_DOTS for line in _QUOTED.sub("", text).splitlines()):
        raise RecursionError
    return tomllib.loads(text)


class Mistake(msgspec.Struct, frozen=True):
    """One thing wrong with a value: `path` in the form `$[1].body.brandId`, `what` in words."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def find_mistakes(value: object, wanted: typing.Any, path: str = "$") -> list[Mistake]:
    """Returns all mistakes of plain data (dicts, lists, strings, numbers) against a msgspec type."""
    return list(_walk(value, wanted, path))


def _walk(value: object, wanted: typing.Any, path: str) -> Iterator[Mistake]:
    struct = _struct_in(wanted, value) if isinstance(value, dict) else None
    inner = _inner_of(wanted, value)
    if isinstance(value, dict) and struct is not None:
        yield from _walk_struct(value, struct, path)
    elif isinstance(value, dict) and inner is not None:
        for key, item in value.items():
            yield from _walk(item, inner, f"{path}.{key}")
    elif isinstance(value, list) and inner is not None:
        for position, item in enumerate(value):
            yield from _walk(item, inner, f"{path}[{position}]")
    else:
        yield from _leaf(value, wanted, path)


def _walk_struct(value: dict[str, object], struct: type[msgspec.Struct], path: str) -> Iterator[Mistake]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    hints = typing.get_type_hints(struct, include_extras=True)
    config = struct.__struct_config__
    broken = config.tag_field is not None and not _carries_tag(value, config)
    if broken:
        yield Mistake(f"{path}.{config.tag_field}", f"must be {config.tag!r}")
    if config.forbid_unknown_fields:
        for key in value:
            if key not in fields and key != config.tag_field:
                yield Mistake(f"{path}.{key}", f"unknown key{suggest(key, fields)}")
    for name, field in fields.items():
        if name in value:
            found = list(_walk(value[name], hints[field.name], f"{path}.{name}"))
            broken = broken or bool(found)
            yield from found
        elif field.required:
            broken = True
            yield Mistake(f"{path}.{name}", "is missing")
    if not broken:
        # The parts are sound; what is left are rules between them (__post_init__).
        known = {k: v for k, v in value.items() if k in fields or k == config.tag_field}
        yield from _leaf(known, struct, path)


def _leaf(value: object, wanted: typing.Any, path: str) -> Iterator[Mistake]:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        what, _, inner = str(error).partition(" - at `$")
        yield from _split(path + inner.rstrip("`"), in_words(what, wanted))
        return
    for check in checks_of(wanted):
        try:
            check(value)
        except ValueError as error:
            yield Mistake(path, str(error))


def _split(path: str, text: str) -> Iterator[Mistake]:
    """Takes a message apart that tells of several rules, a line each, in the form `.key: what is wrong`."""
    for line in text.split("\n"):
        key, _, what = line.partition(": ")
        yield Mistake(path + key, what) if line.startswith(".") else Mistake(path, line)


_BOUND = re.compile(r"Expected `(int|float)` (>=|<=|>|<) (\S+)")
_NO_NUMBER = re.compile(r"Expected `(int|float)(?: \| null)?`, got `(\w+)`")
_NUMBERS = {"int": "a whole number", "float": "a number"}
_LIMITS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
_NO_CHOICE = "Invalid enum value "
_NO_MATCH = "Expected `str` matching regex "


def in_words(text: str, wanted: typing.Any) -> str:
    """Returns a message of msgspec's as a sentence, where it has signs in place of words or leaves the choices out."""
    if bound := _BOUND.fullmatch(text):
        kind, sign, limit = bound.groups()
        return f"must be {_NUMBERS[kind]} {_LIMITS[sign]} {float(limit):,.15g}"
    if other := _NO_NUMBER.fullmatch(text):
        return f"must be {_NUMBERS[other[1]]}" + (", not text" if other[2] == "str" else "")
    if text.startswith("Expected `str` of length >= 1"):
        return "must not be empty"
    if text.startswith(_NO_MATCH) and (form := _form_of(wanted)):
        return f"must be {form}"
    choices = sorted(map(str, _choices_of(wanted)))
    if text.startswith(_NO_CHOICE) and choices:
        given = text.removeprefix(_NO_CHOICE)
        near = difflib.get_close_matches(given.strip("'"), choices, n=1)
        return f"{given} must be one of {', '.join(choices)}" + (f"; did you mean {near[0]!r}?" if near else "")
    return text


def _form_of(wanted: typing.Any) -> str:
    """Returns what a type says in words of its pattern, or of that of its items."""
    metadata = [*getattr(wanted, "__metadata__", ()), *(m for one in _items_of(wanted) for m in one)]
    return next((meta.description for meta in metadata if getattr(meta, "pattern", None) and meta.description), "")


def _items_of(wanted: typing.Any) -> Iterator[tuple[typing.Any, ...]]:
    return (getattr(item, "__metadata__", ()) for option in _options(wanted) for item in typing.get_args(option))


def _choices_of(wanted: typing.Any) -> tuple[typing.Any, ...]:
    """Returns the values of a `Literal`, alone or with others such as None."""
    literals = [option for option in _options(wanted) if typing.get_origin(option) is typing.Literal]
    return sum((typing.get_args(literal) for literal in literals), ())


def checks_of(wanted: typing.Any) -> list[Callable[[typing.Any], object]]:
    """Returns what a type's `Meta(extra={"check": ...})` asks beyond the type: functions that raise ValueError."""
    metadata = getattr(wanted, "__metadata__", ())
    return [meta.extra["check"] for meta in metadata if isinstance(meta, msgspec.Meta) and meta.extra]


def _struct_in(wanted: typing.Any, value: dict[str, object]) -> type[msgspec.Struct] | None:
    """Returns the struct of a type such as `Struct | None`; of several, the one with the value's tag."""
    structs = [option for option in _options(wanted) if _is_struct(option)]
    if len(structs) > 1:
        structs = [one for one in structs if _carries_tag(value, one.__struct_config__)]
    return structs[0] if structs else None


def _carries_tag(value: dict[str, object], config: msgspec.structs.StructConfig) -> bool:
    return config.tag_field is not None and value.get(config.tag_field) == config.tag


def _inner_of(wanted: typing.Any, value: object) -> typing.Any:
    """Returns the type of the items of a list, or of the values of a dict; None where `wanted` knows none."""
    for option in _options(wanted):
        origin = typing.get_origin(option)
        if isinstance(value, list) and origin in (list, tuple):
            return typing.get_args(option)[0]
        if isinstance(value, dict) and origin is dict:
            return typing.get_args(option)[1]
    return None


def _options(wanted: typing.Any) -> tuple[typing.Any, ...]:
    if typing.get_origin(wanted) is typing.Annotated:
        wanted = typing.get_args(wanted)[0]
    is_union = typing.get_origin(wanted) in (typing.Union, types.UnionType)
    return typing.get_args(wanted) if is_union else (wanted,)


def _is_struct(option: typing.Any) -> bool:
    return isinstance(option, type) and issubclass(option, msgspec.Struct)


def suggest(key: str, allowed: typing.Iterable[str]) -> str:
    """Returns the end of a message about an unknown key: the key that was meant, else all allowed ones."""
    near = difflib.get_close_matches(key, list(allowed), n=1)
    return f", did you mean {near[0]!r}?" if near else f"; allowed: {', '.join(sorted(allowed))}"
