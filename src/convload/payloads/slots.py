"""The table of slots: what each `${kind:arguments}` draws, as a Python expression for the compiled variant."""

import json
import re
import struct
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import count

import msgspec
import orjson

from convload.mistakes import suggest

Pools = Mapping[str, tuple[str, ...]]

CHOICE_BYTES = 4
"""The first bytes of a payload's random bits choose its variant; the slots draw from those that follow."""

MAX_TEXT_CHARS = 100_000
MAX_RANDOM_CHARS = 512
MAX_DIGITS = 17
MAX_INTEGER = 2**53
"""Larger numbers lose digits in JSON readers that keep every number as a double."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?\d{1,16}")
_MIN_CORPUS_CHARS = 20_000


def json_text(text: str) -> bytes:
    """Returns text as it stands between the quotes of a JSON string."""
    return orjson.dumps(text)[1:-1]


def ascii_json_text(text: str) -> bytes:
    """Returns text as it stands in a JSON string of printable ASCII, which a header can carry."""
    return json.dumps(text)[1:-1].encode().replace(b"\x7f", b"\\u007f")


class Draft:
    """A variant on its way to source: the constants it needs by name, and the random fields it draws.

    `fields` are formats of the struct module. What is drawn follows from the order of the slots alone, so the
    same file gives the same bytes everywhere.
    """

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.constants: dict[str, object] = {}
        self.fields: list[str] = []

    def constant(self, value: object) -> str:
        """Binds a value to a name of the source and returns the name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def field(self, form: str) -> str:
        """Returns the name of the next random field."""
        self.fields.append(form)
        return f"r{len(self.fields) - 1}"

    def below(self, limit: int) -> str:
        """Returns an expression for a random integer from 0 to limit - 1."""
        # Wide enough that the remainder favours no value by more than 2 %.
        form = "H" if limit <= 2**10 else "I" if limit <= 2**26 else "Q"
        return f"{self.field(form)} % {limit}" if limit > 1 else "0"


class Style(msgspec.Struct, frozen=True):
    """How text is escaped where a slot stands, and the name under which the escaped account is bound there."""

    escape: Callable[[str], bytes]
    account: str


IN_PAYLOAD = Style(json_text, "account")
IN_HEADER = Style(ascii_json_text, "header_account")


class Slot(msgspec.Struct, frozen=True):
    """A compiled slot: `code` is an expression of bytes, `numeric` whether these can stand as a JSON number."""

    code: str
    numeric: bool = False


class Kind(msgspec.Struct, frozen=True):
    """A row of the table: how the slot is written, and what compiles its arguments or raises ValueError."""

    usage: str
    compile: Callable[[str, Draft, Style], Slot]


def compile_slot(text: str, draft: Draft, style: Style) -> Slot:
    """Compiles what stands between `${` and `}`; raises ValueError for no slot, or for wrong arguments."""
    name, _, arguments = text.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"unknown slot {name!r}{suggest(name, KINDS)}")
    try:
        return kind.compile(arguments, draft, style)
    except ValueError as error:
        raise ValueError(f"${{{text}}}: {error}; write ${{{kind.usage}}}") from None


def _account(arguments: str, _: Draft, style: Style) -> Slot:
    _split(arguments, 0)
    return Slot(style.account)


def _seq(arguments: str, *_: object) -> Slot:
    _split(arguments, 0)
    return Slot("b'%d' % index", numeric=True)


def _uuid(arguments: str, draft: Draft, _: Style) -> Slot:
    _split(arguments, 0)
    return Slot(f"{draft.constant(_format_uuid)}({draft.field('15s')})")


def _pool(name: str, draft: Draft, style: Style) -> Slot:
    return _one_of(_values_of(name, draft), draft, style)


def _pick(words: str, draft: Draft, style: Style) -> Slot:
    return _one_of(tuple(words.split("|")), draft, style)


def _one_of(values: tuple[str, ...], draft: Draft, style: Style) -> Slot:
    name = draft.constant(_escaped(values, style))
    return Slot(f"{name}[{draft.below(len(values))}]", numeric=all(map(_NUMBER.fullmatch, values)))


@lru_cache(maxsize=256)
def _escaped(values: tuple[str, ...], style: Style) -> tuple[bytes, ...]:
    return tuple(map(style.escape, values))


def _int(arguments: str, draft: Draft, _: Style) -> Slot:
    low, high = _range(arguments, -MAX_INTEGER, MAX_INTEGER)
    return Slot(f"b'%d' % ({low} + {draft.below(high - low + 1)})", numeric=True)


def _decimal(arguments: str, draft: Draft, _: Style) -> Slot:
    limits, _colon, places_text = arguments.rpartition(":")
    low, high = _range(limits, 0, 10**12)
    (places,) = _integers(places_text, 1, 1, 3)
    unit = 10**places
    amount = f"{low * unit} + {draft.below((high - low) * unit + 1)}"
    return Slot(f"b'%d.%0{places}d' % divmod({amount}, {unit})", numeric=True)


def _digits(arguments: str, draft: Draft, _: Style) -> Slot:
    (length,) = _integers(arguments, 1, 1, MAX_DIGITS)
    return Slot(f"b'%0{length}d' % ({draft.below(10**length)})")


def _hex(arguments: str, draft: Draft, _: Style) -> Slot:
    (length,) = _integers(arguments, 1, 1, MAX_RANDOM_CHARS)
    return Slot(f"{draft.field(f'{(length + 1) // 2}s')}.hex()[:{length}].encode()")


def _token(arguments: str, draft: Draft, _: Style) -> Slot:
    (length,) = _integers(arguments, 1, 1, MAX_RANDOM_CHARS)
    encode, field = draft.constant(urlsafe_b64encode), draft.field(f"{(length * 3 + 3) // 4}s")
    return Slot(f"{encode}({field})[:{length}]")


def _text(arguments: str, draft: Draft, style: Style) -> Slot:
    limits, pool = arguments, "words"
    if arguments.count(":") > 1:
        limits, _colon, pool = arguments.rpartition(":")
    low, high = _range(limits, 1, MAX_TEXT_CHARS)
    corpus, starts = _prose(_values_of(pool, draft), high)
    names = [draft.constant(value) for value in (style.escape, corpus, starts)]
    start, length = draft.below(len(starts)), f"{low} + {draft.below(high - low + 1)}"
    return Slot("{}({}[(at := {}[{}]) : at + {}])".format(*names, start, length))


def _values_of(name: str, draft: Draft) -> tuple[str, ...]:
    if name not in draft.pools:
        raise ValueError(f"unknown pool {name!r}{suggest(name, draft.pools)}")
    return draft.pools[name]


def _range(arguments: str, least: int, most: int) -> tuple[int, int]:
    low, high = _integers(arguments, 2, least, most)
    if low > high:
        raise ValueError(f"{low} is above {high}")
    return low, high


def _integers(arguments: str, wanted: int, least: int, most: int) -> list[int]:
    texts = _split(arguments, wanted)
    for text in texts:
        if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number from {least} to {most}")
    return [int(text) for text in texts]


def _split(arguments: str, wanted: int) -> list[str]:
    texts = arguments.split(":") if arguments else []
    if len(texts) != wanted:
        raise ValueError(f"takes {wanted or 'no'} argument{'s' * (wanted != 1)}")
    return texts


def _format_uuid(bits: bytes) -> bytes:
    """Returns a version 4 UUID of 15 random bytes; its variant digit, which may be 8 to b, is always a."""
    digits = bits.hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}".encode()


@lru_cache(maxsize=64)
def _prose(words: tuple[str, ...], max_chars: int) -> tuple[str, tuple[int, ...]]:
    """Returns a long run of words, and every place in it where a text of `max_chars` can begin."""
    picked: list[str] = []
    starts: list[int] = []
    chars = 0
    for word in _shuffled(words):
        if chars > _MIN_CORPUS_CHARS + 2 * max_chars:
            break
        picked.append(word)
        starts.append(chars)
        chars += len(word) + 1
    return " ".join(picked), tuple(start for start in starts if start + max_chars < chars)


def _shuffled(words: tuple[str, ...]) -> Iterator[str]:
    """Yields words without end, in an order that is the same everywhere."""
    for block in count():
        for number in struct.unpack("<32H", blake2b(block.to_bytes(8, "little")).digest()):
            yield words[number % len(words)]


KINDS = {
    "account": Kind("account", _account),
    "seq": Kind("seq", _seq),
    "uuid": Kind("uuid", _uuid),
    "pool": Kind("pool:NAME", _pool),
    "pick": Kind("pick:A|B|C", _pick),
    "int": Kind("int:LOW:HIGH", _int),
    "decimal": Kind("decimal:LOW:HIGH:PLACES", _decimal),
    "digits": Kind("digits:LENGTH", _digits),
    "hex": Kind("hex:LENGTH", _hex),
    "token": Kind("token:LENGTH", _token),
    "text": Kind("text:MIN:MAX[:POOL]", _text),
}
"""Every slot by its name. payloads/README.md explains them to testers."""
