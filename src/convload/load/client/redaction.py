"""Takes secrets out of what a target said: the values that this process knows, in whatever form they come back.

A value is known by its forms: as it is, URL-encoded, JSON-escaped, and in base64, where it may begin at three places.
An answer is quoted in part, so the beginning of a form counts for the whole. The same beginning stands for all tokens
that one service signs, so that a million of them are known by a few.
"""

import base64
import json
import re
from collections import deque
from urllib.parse import quote, quote_plus

TOKEN = "[token]"  # noqa: S105 -- what stands in the place of one
SHORTEST = 4
"""A value of fewer characters is in every other word."""

HEAD = 12
"""Characters of a form that tell it from all other text."""

MOST_HEADS = 50_000

_SCHEMES = {"Bearer", "Basic"}

_JWT = re.compile(r"[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
_REST = re.compile(r"[\w.~+/=%\\-]*")


class Redactor:
    """Knows secrets and takes them out of texts."""

    def __init__(self) -> None:
        self._forms: list[str] = []
        self._heads: set[str] = set()
        self._order: deque[str] = deque()

    def know(self, *values: str) -> None:
        """Takes whole values, which are found however short they are, or near to other text."""
        for value in values:
            parts = {value, *value.split()} - _SCHEMES
            found = {form for part in parts if len(part) >= SHORTEST for form in _forms(part)}
            self._forms = sorted({*self._forms, *found}, key=len, reverse=True)
            for part in parts:
                self.know_token(part)

    def know_token(self, token: str) -> None:
        """Takes one of many: what begins as it does is taken out to its end."""
        if token[:HEAD] in self._heads:
            return
        for head in {form[:HEAD] for form in _forms(token[: 2 * HEAD]) if len(form) >= HEAD} - self._heads:
            self._heads.add(head)
            self._order.append(head)
            if len(self._order) > MOST_HEADS:
                self._heads.discard(self._order.popleft())

    def redact(self, text: str) -> str:
        """Replaces what is known, and what has the form of a token, should it be another's."""
        for form in self._forms:
            text = text.replace(form, TOKEN)
        at = 0
        while at + HEAD <= len(text):
            if text[at : at + HEAD] in self._heads:
                rest = _REST.match(text, at + HEAD)
                text = text[:at] + TOKEN + text[rest.end() if rest else at + HEAD :]
                at += len(TOKEN)
            else:
                at += 1
        return _JWT.sub(TOKEN, text)


def _forms(value: str) -> set[str]:
    raw = value.encode()
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    escaped |= {form.replace("/", "\\/") for form in escaped}
    in_urls = {quote(value, safe=""), quote(value), quote_plus(value)}
    in_urls |= {re.sub("%..", lambda found: found[0].lower(), form) for form in in_urls}
    coded = set[str]()
    for before in range(3):
        # The characters at both ends depend on what stands beside the value.
        text = base64.b64encode(bytes(before) + raw).decode()
        inner = text[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        if len(inner) > SHORTEST:
            coded |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {value} | escaped | in_urls | coded


known = Redactor()
"""What this process has been given and was issued; it is one user's, so one is enough."""
