"""Finds the line on which each value of a JSON text stands, which no JSON reader tells."""

import json
import re
from collections.abc import Iterator

Mistakes = list[tuple[str, str]]
"""Mistakes of a file: the place, which is a line or line:column, and what is wrong there."""

_TOKEN = re.compile(r'\n|"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
_Token = tuple[str, int]


class Positions:
    """The lines of a sound JSON text by path, such as `$.payload[1].body`, and its repeated members."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        self.repeated: list[str] = []
        tokens = _tokens(text)
        self._walk(next(tokens), tokens, "$")

    def line_of(self, path: str) -> int:
        """Returns the line of the value at `path`; of the nearest value around it where there is none."""
        while path not in self._lines:
            path = path[: max(path.rfind("."), path.rfind("["))]
        return self._lines[path]

    def _walk(self, token: _Token, tokens: Iterator[_Token], path: str) -> None:
        text, line = token
        if path in self._lines:
            self.repeated.append(path)
        self._lines[path] = line
        if text == "{":
            self._walk_object(tokens, path)
        elif text == "[":
            self._walk_array(tokens, path)

    def _walk_object(self, tokens: Iterator[_Token], path: str) -> None:
        for text, _ in tokens:
            if text == "}":
                return
            if text != ",":
                next(tokens)  # the colon
                self._walk(next(tokens), tokens, f"{path}.{json.loads(text)}")

    def _walk_array(self, tokens: Iterator[_Token], path: str) -> None:
        position = 0
        for token in tokens:
            if token[0] == "]":
                return
            if token[0] != ",":
                self._walk(token, tokens, f"{path}[{position}]")
                position += 1


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found[0] == "\n":
            line += 1
        else:
            yield found[0], line
