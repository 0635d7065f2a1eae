"""Compiles one variant: a payload and headers with slots become the source of a function that builds them.

Source, because a function made of closures, one a slot, takes 1.5 times as long for a payload of 14 slots
(2.9 µs against 1.9 µs), and building competes with sending for the same core. The source holds names, numbers
and operators of ours; whatever stands in a file is a bound constant of it, never a part of it.
"""

import re
import struct
from collections.abc import Callable
from types import CodeType
from typing import Any

import msgspec
import orjson

from convload.mistakes import Mistake
from convload.payloads.slots import CHOICE_BYTES, IN_HEADER, IN_PAYLOAD, Draft, Pools, Slot, Style, compile_slot

DIGEST_BYTES = 64

FORBIDDEN_HEADERS = {
    **dict.fromkeys(
        ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        "concerns the connection",
    ),
    **dict.fromkeys(
        ("accept", "accept-encoding", "content-encoding", "content-length", "content-type", "expect", "host"),
        "is set by the client",
    ),
    "user-agent": "is set by the client",
    **dict.fromkeys(("authorization", "proxy-authorization", "x-lp-on-behalf"), "holds credentials"),
}
"""Headers that a variant must leave alone, in lower case, and why."""

Part = bytes | str
"""A piece of what is built: bytes that never change, or an expression that gives bytes."""

_SLOT = re.compile(r"(?P<escape>\$\$\{)|\$\{(?P<slot>[^}]*)\}|(?P<open>\$\{)")
_WHOLE = re.compile(r"\$\{(number|null_or|omit_or):([^}]*)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"[ -~]*")
_CHANCE = re.compile(r"(0(?:\.\d+)?|1(?:\.0+)?):(.*)", re.DOTALL)
_CHANCES = 2**16
_NOTHING = Slot("b''", numeric=True)
"""Stands in for a slot that is refused."""


class Template(msgspec.Struct, frozen=True):
    """A compiled variant. `code` defines `make(index, bits)`; `constants` are the names that it reads."""

    code: CodeType
    constants: dict[str, object]


def compile_template(payload: object, headers: dict[str, Any], pools: Pools) -> Template | list[Mistake]:
    """Compiles a variant, or returns every mistake in it.

    Paths of the payload start with `$`, paths of headers with `headers`.
    """
    compiler = _Compiler(pools, payload)
    body = _joined(compiler.value(payload, "$", IN_PAYLOAD), compiler.draft)
    head = _joined(compiler.headers(headers), compiler.draft)
    if compiler.mistakes:
        return compiler.mistakes
    return _template(compiler.draft, body, head, compiler.reply_ids())


def _template(draft: Draft, body: str, headers: str, reply_ids: str) -> Template:
    lines = ["def make(index, bits):"]
    if draft.fields:
        fields = struct.Struct(f"<{CHOICE_BYTES}x{''.join(draft.fields)}")
        if fields.size > DIGEST_BYTES:
            lines.append(f" bits = widened(bits, {fields.size})")
        names = ", ".join(f"r{number}" for number in range(len(draft.fields)))
        lines.append(f" {names}, = {draft.constant(fields.unpack_from)}(bits)")
    lines.append(f" return Payload(index, variant, expect, {body}, {headers}, {reply_ids})")
    return Template(compile("\n".join(lines), "<variant>", "exec"), draft.constants)


def _joined(parts: list[Part], draft: Draft) -> str:
    """Returns one expression for all parts; neighbours that never change become one constant."""
    merged: list[Part] = []
    for part in parts:
        if merged and isinstance(part, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += part
        else:
            merged.append(part)
    names = [part if isinstance(part, str) else draft.constant(part) for part in merged]
    return names[0] if len(names) == 1 else f"join(({', '.join(names)}))" if names else "b''"


class _Compiler:
    """One walk through a variant; mistakes are gathered, so that all of them are told."""

    def __init__(self, pools: Pools, payload: object) -> None:
        self.draft = Draft(pools)
        self.mistakes: list[Mistake] = []
        self._reply_ids = dict.fromkeys(_id_paths(payload), "")

    def reply_ids(self) -> str:
        """Returns an expression for the ids that the answer must carry."""
        codes, constants = self._reply_ids.values(), self.draft.constants
        if all(code in constants for code in codes):
            return self.draft.constant(tuple(constants[code] for code in codes))
        return f"({''.join(f'{code}, ' for code in codes)})"

    def headers(self, headers: dict[str, Any]) -> list[Part]:
        """Compiles headers to ready lines; a value is text, or JSON that is written in ASCII."""
        parts: list[Part] = []
        seen: set[str] = set()
        for name, value in headers.items():
            path = f"headers.{name}"
            self._check_header(name, path, seen)
            text = self._header_text if isinstance(value, str) else self.value
            parts += [f"{name}: ".encode(), *text(value, path, IN_HEADER), b"\r\n"]
        return parts

    def _check_header(self, name: str, path: str, seen: set[str]) -> None:
        lowered = name.lower()
        if not _HEADER_NAME.fullmatch(name):
            self._refuse(path, "is no header name: letters, digits and hyphens are allowed")
        elif lowered in FORBIDDEN_HEADERS:
            self._refuse(path, f"{FORBIDDEN_HEADERS[lowered]} and cannot be set by a variant")
        elif lowered in seen:
            self._refuse(path, "stands twice")
        seen.add(lowered)

    def _header_text(self, text: str, path: str, style: Style) -> list[Part]:
        if not _HEADER_TEXT.fullmatch(text):
            self._refuse(path, "a header is printable ASCII without line breaks; a JSON value is escaped for you")
            return []
        return self._segments(text, path, style, str.encode)

    def value(self, value: object, path: str, style: Style) -> list[Part]:
        """Compiles a JSON value."""
        if isinstance(value, dict):
            parts = self._object(value, path, style)
        elif isinstance(value, list):
            parts = self._array(value, path, style)
        elif isinstance(value, str):
            parts = self._string(value, path, style)
        else:
            parts = [orjson.dumps(value)]
        return self._remember_id(parts, path) if path in self._reply_ids else parts

    def _array(self, items: list[Any], path: str, style: Style) -> list[Part]:
        parts: list[Part] = [b"["]
        for position, item in enumerate(items):
            parts += [b","] * (position > 0) + self.value(item, f"{path}[{position}]", style)
        return [*parts, b"]"]

    def _object(self, members: dict[str, Any], path: str, style: Style) -> list[Part]:
        """Compiles an object. A member that may be left out brings its comma along, on the side of a fixed one."""
        compiled = [self._member(key, value, f"{path}.{key}", style) for key, value in members.items()]
        fixed = [position for position, (_, left_out) in enumerate(compiled) if not left_out]
        parts: list[Part] = []
        for position, (member, left_out) in enumerate(compiled):
            before = b"," if not fixed or position > fixed[0] else b""
            after = b"," if fixed and position < fixed[0] else b""
            text = [before, *member, after]
            parts += [f"(b'' if {left_out} else {_joined(text, self.draft)})"] if left_out else text
        if compiled and not fixed:
            parts = [f"{_joined(parts, self.draft)}[1:]"]
        return [b"{", *parts, b"}"]

    def _member(self, key: str, value: object, path: str, style: Style) -> tuple[list[Part], str]:
        """Compiles a member; the second is the condition under which it is left out, "" for never."""
        left_out = ""
        whole = _WHOLE.fullmatch(value) if isinstance(value, str) else None
        if whole and whole[1] == "omit_or":
            left_out, rest = self._chance(whole[2], path)
            value = f"${{{rest}}}"
        if "${" in key:
            self._refuse(path, "a slot stands in a value, not in a key")
        return [b'"' + style.escape(key) + b'":', *self.value(value, path, style)], left_out

    def _string(self, text: str, path: str, style: Style) -> list[Part]:
        whole = _WHOLE.fullmatch(text)
        if whole is None:
            return [b'"', *self._segments(text, path, style, style.escape), b'"']
        kind, rest = whole.groups()
        if kind == "number":
            return self._number(rest, path, style)
        if kind == "omit_or":
            return self._refuse(path, "${omit_or:...} stands for a member of an object and nothing else")
        return self._nullable(rest, path, style)

    def _nullable(self, text: str, path: str, style: Style) -> list[Part]:
        is_null, rest = self._chance(text, path)
        if rest.startswith("number:"):
            other = self._number(rest.removeprefix("number:"), path, style)
        else:
            other = [b'"', self._slot(rest, path, style).code, b'"']
        return [f"(b'null' if {is_null} else {_joined(other, self.draft)})"]

    def _number(self, text: str, path: str, style: Style) -> list[Part]:
        slot = self._slot(text, path, style)
        if not slot.numeric:
            self._refuse(path, f"${{number:{text}}}: {text!r} is not always a number")
        return [slot.code]

    def _chance(self, text: str, path: str) -> tuple[str, str]:
        """Splits `0.2:pool:skills` into a condition that holds with that chance, and the slot that is left."""
        match = _CHANCE.fullmatch(text)
        if match is None:
            self._refuse(path, f"{text!r} does not begin with a chance from 0 to 1, such as 0.2:pool:skills")
            return "True", "seq"
        if path in self._reply_ids:
            self._refuse(path, "an id must always be there")
        return f"{self.draft.field('H')} < {round(float(match[1]) * _CHANCES)}", match[2]

    def _segments(self, text: str, path: str, style: Style, literal: Callable[[str], bytes]) -> list[Part]:
        """Compiles text with slots in it, without quotes around."""
        parts: list[Part] = []
        end = 0
        for match in _SLOT.finditer(text):
            parts.append(literal(text[end : match.start()]))
            end = match.end()
            if match["escape"]:
                parts.append(literal("${"))
            elif match["open"]:
                self._refuse(path, "a slot is not closed; write $${ for a plain ${")
            else:
                parts.append(self._slot(match["slot"], path, style).code)
        return [*parts, literal(text[end:])]

    def _slot(self, text: str, path: str, style: Style) -> Slot:
        if _WHOLE.match(f"${{{text}}}"):
            self._refuse(path, f"${{{text}}} has to be a whole value, on its own between the quotes")
            return _NOTHING
        try:
            return compile_slot(text, self.draft, style)
        except ValueError as error:
            self._refuse(path, str(error))
            return _NOTHING

    def _remember_id(self, parts: list[Part], path: str) -> list[Part]:
        """Notes how to read an id back from what is built: an id sent as a number is answered as a string."""
        code = _joined(parts, self.draft)
        constant = self.draft.constants.get(code)
        if isinstance(constant, bytes):
            self._reply_ids[path] = self.draft.constant(str(orjson.loads(constant)))
            return [constant]
        name = f"id{path[2:].partition(']')[0]}"
        self._reply_ids[path] = f"str(loads({name}))"
        return [f"({name} := {code})"]

    def _refuse(self, path: str, what: str) -> list[Part]:
        self.mistakes.append(Mistake(path, what))
        return []


def _id_paths(payload: object) -> list[str]:
    """Returns the paths of the ids that an answer echoes; none if an element has no usable one."""
    elements = payload if isinstance(payload, list) else []
    ids = [element.get("id") if isinstance(element, dict) else None for element in elements]
    usable = all(isinstance(one, str | int) and not isinstance(one, bool) for one in ids)
    return [f"$[{position}].id" for position in range(len(ids))] if usable else []
