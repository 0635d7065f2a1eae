"""Reads what an exchange amounts to; where that is not ok, headers say more: a coding, the goal of a redirect."""

import contextlib
import itertools
import re
import zlib
from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from convload.contract.answers import Answer
from convload.contract.outcomes import INVALID_JSON, OK
from convload.load.client.heads import final_head, header
from convload.load.client.http import MAX_BODY_BYTES, Client, Exchange

REDIRECTS = 300, 400

_COMPRESSED = (b"\x1f", b"\x08", b"\x18", b"\x28", b"\x38", b"\x48", b"\x58", b"\x68", b"\x78")
"""How gzip and zlib begin (RFC 1952, 1950); what does not is none of them, whatever its headers say."""

MOST_TELLING, LONGEST_TELLING = 12, 1000
"""Headers of a failed answer that are kept, and the letters of each before it is redacted."""

_TELLING = re.compile(
    rb"(?im)^(retry-after|content-type|location|server|via|www-authenticate|cf-ray|x-cache|traceparent"
    rb"|[\w-]{0,40}(?:request|correlation|trace)-?id|(?:x-)?rate-?limit[\w-]{0,40}):[ \t]*([^\r\n]*)"
)
"""Who answered, what it was, when to come again, and under which name the target's own logs have it."""

_T = TypeVar("_T")


def read(exchange: Exchange, client: Client, check: Callable[[int, bytes], _T | Answer]) -> _T | Answer:
    """Returns what an exchange amounts to; what is not ok, with what its headers say: coding, goal.

    The head goes along for those few whose other headers somebody looks at (`telling_headers`).
    """
    if exchange.failure:
        return Answer(exchange.failure, exchange.detail, head=client.answer_head())
    answer = check(exchange.status, exchange.body)
    if not isinstance(answer, Answer) or answer.outcome == OK:
        return answer
    return _explained(answer, exchange, client.answer_head(), check)


def _explained(
    answer: Answer, exchange: Exchange, head: bytes, check: Callable[[int, bytes], _T | Answer]
) -> _T | Answer:
    """Returns what a failure amounts to in the light of its headers."""
    may_be_coded = answer.outcome == INVALID_JSON or exchange.body.startswith(_COMPRESSED)
    if may_be_coded and (coding := header(final_head(head), b"content-encoding")):
        body = _decompressed(exchange.body)
        if body is not None:
            found = check(exchange.status, body)
            return replace(found, head=head) if isinstance(found, Answer) and found.outcome != OK else found
        if answer.outcome == INVALID_JSON:
            detail = f"Content-Encoding: {coding}, which cannot be read and was not asked for"
            return Answer("malformed_http", detail, head=head)
    detail = answer.detail
    if REDIRECTS[0] <= exchange.status < REDIRECTS[1]:
        detail = "; ".join(filter(None, (f"Location: {header(final_head(head), b'location')}", detail)))
    return Answer(answer.outcome, detail, answer.conversation_id, answer.error_code, head)


def telling_headers(head: bytes) -> tuple[tuple[str, str], ...]:
    """Returns the names and values of those headers that help to find out why an answer was what it was."""
    found = (match.groups() for match in itertools.islice(_TELLING.finditer(final_head(head)), MOST_TELLING))
    return tuple((name.decode().lower(), value[:LONGEST_TELLING].decode("latin-1").rstrip()) for name, value in found)


def _decompressed(body: bytes) -> bytes | None:
    """Returns what came as gzip or deflate although `identity` was asked for; None if it is neither, or too large."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 32)
    with contextlib.suppress(zlib.error):
        plain = reader.decompress(body, MAX_BODY_BYTES)
        return plain if reader.eof else None
    return None
