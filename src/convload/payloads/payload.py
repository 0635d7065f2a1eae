"""A variant, the payloads that are built of it, and the function that builds them."""

import struct
from collections.abc import Callable
from hashlib import blake2b
from typing import cast

import msgspec
import orjson

from convload.contract.answers import Answer, check_create
from convload.payloads.slots import IN_HEADER, IN_PAYLOAD, ascii_json_text, json_text
from convload.payloads.template import Template

_pack = struct.Struct("<QQ").pack


class Variant(msgspec.Struct, frozen=True):
    """A kind of create request. `expect` is `ok`, or the error kind that it is meant to meet."""

    name: str
    description: str
    expect: str
    file: str
    template: Template


class Payload(msgspec.Struct, frozen=True, gc=False):
    """A create request, ready to be sent.

    `headers` are whole lines such as `Client-Properties: {...}` with their line ends, or nothing. `reply_ids`
    holds the `reqId` of each element of the answer; it is empty where an element of a bad request has no id.
    """

    index: int
    variant: str
    expect: str
    body: bytes
    headers: bytes
    reply_ids: tuple[str, ...]

    def check(self, status: int, body: bytes) -> Answer:
        """Checks the answer to this request."""
        return check_create(self.reply_ids, status, body, self.expect)


Make = Callable[[int, bytes], Payload]
"""Builds one variant from an index and its random bits."""


def random_bits(seed: int, index: int) -> bytes:
    """Returns what chance decides in a payload: 64 bytes, the same on every machine."""
    return blake2b(_pack(seed, index)).digest()


def bind(variant: Variant, account: str) -> Make:
    """Returns the function that builds a variant for an account."""
    names: dict[str, object] = {
        **variant.template.constants,
        "Payload": Payload,
        "variant": variant.name,
        "expect": variant.expect,
        "join": b"".join,
        "loads": orjson.loads,
        "widened": _widened,
        IN_PAYLOAD.account: json_text(account),
        IN_HEADER.account: ascii_json_text(account),
    }
    exec(variant.template.code, names)  # noqa: S102 -- source of ours, see convload.payloads.template
    return cast("Make", names["make"])


def _widened(bits: bytes, size: int) -> bytes:
    """Returns at least `size` random bytes that begin with the given ones, for a variant with many slots."""
    block = bits
    while len(bits) < size:
        block = blake2b(block).digest()
        bits += block
    return bits
