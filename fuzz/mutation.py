"""Makes hostile inputs from sound ones: seeded, so that a round can be had again."""

import random
import re
from collections.abc import Callable, Sequence

MOST_BYTES = 65_536
MOST_CHANGES = 6

NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
WORD = re.compile(rb"[A-Za-z_]{2,}")

NUMBERS = (
    *(b"0", b"-0", b"-1", b"1", b"2", b"0.5", b"1e-9", b"1e8", b"1e308", b"1e999", b"-1e308", b"nan", b"inf"),
    *(
        b"2147483648",
        b"9223372036854775807",
        b"9223372036854775808",
        b"18446744073709551616",
        b"1" * 4400,
        b"1_0",
        b"0x10",
    ),
)
BYTES = (
    b"\0",
    b"\n",
    b"\r\n",
    b"\xff",
    b"\xc3",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"${",
    b"}",
    b"[",
    b"{",
    b"%",
    b"..",
)
NESTED = (b"[" * 3000, b'{"a":' * 3000, b"(" * 3000, b"\x91" * 3000, b"a." * 3000)

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutate(chance: random.Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Returns an input of the corpus with some changes; `words` are those that its format has a meaning for."""
    data = chance.choice(corpus)
    known = words or corpus
    for _ in range(chance.randint(1, MOST_CHANGES)):
        data = chance.choice(MUTATIONS)(chance, data, chance.choice((corpus, known)))
    return data[:MOST_BYTES]


def _flip(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _remove(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, size = chance.randrange(len(data) + 1), chance.choice((1, 2, 4, 16, 64))
    return data[:start] + data[start + size :]


def _cut(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _insert(chance: random.Random, data: bytes, known: Sequence[bytes]) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice((*BYTES, chance.choice(known))) + data[place:]


def _nest(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice(NESTED) + data[place:]


def _number(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(chance, data, NUMBER, NUMBERS)


def _word(chance: random.Random, data: bytes, known: Sequence[bytes]) -> bytes:
    return _replaced(chance, data, WORD, known)


def _repeat_line(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"\n".join(lines)


def _drop_line(chance: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    lines.pop(chance.randrange(len(lines)))
    return b"\n".join(lines)


def _splice(chance: random.Random, data: bytes, known: Sequence[bytes]) -> bytes:
    other = chance.choice(known)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _replaced(chance: random.Random, data: bytes, pattern: "re.Pattern[bytes]", by: Sequence[bytes]) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data
    one = chance.choice(found)
    return data[: one.start()] + chance.choice(by) + data[one.end() :]


MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _remove, _cut, _insert, _number, _number, _word, _word, _repeat_line, _drop_line, _splice),
    _nest,
)
