"""Reads and writes gates: `create.p99 < 250ms`, `errors[contract] == 0`, `rate >= baseline * 0.98`.

    gate    = subject op limit [windows]
    subject = [step "."] [clock "."] statistic | [step "."] "errors" | "rate" | "offered" | "unsent"
              with {variant=…, stage=…} behind the first part and [kind] behind "errors"
    op      = "<" | "<=" | ">" | ">=" | "=="
    limit   = term {("+" | "-") term};  term = number [unit] | "baseline" ["*" number] | number "*" "baseline"
    windows = "over every" time | "in" number "% of windows of" time | "over" time (conditions of abort_when)

docs/gates.md has the table for users.
"""

import re
from collections.abc import Iterable, Iterator

import msgspec

from convload.contract.steps import CREATE
from convload.mistakes import suggest
from convload.plan.durations import parse_duration_s
from convload.plan.facts import OPEN
from convload.plan.gate import Gate, Limit, Operator, Subject, Vocabulary, Windows, WrittenGate, write_subject
from convload.plan.gate_names import (
    CLOCKS,
    COUNT,
    OPERATORS,
    QUANTITIES,
    RESPONSE,
    UNITS,
    kind_mistake,
    resolve_step,
    statistic_mistake,
)

_SELECTORS = ("variant", "stage")
_FIGURES = ("errors", "rate", "offered", "unsent", "lateness.p99", "create.p99")

_WORD = re.compile(r"[A-Za-z_]\w*(?:\.\d+)?")
_BARE = re.compile(r"[\w.:/@+-]+")
_QUOTED = re.compile(r""""((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'""")
_NUMBER = re.compile(r"\d[\d_,]*(?:\.\d+)?|\.\d+")
_OPERATOR = re.compile(r"<=|>=|==|!=|=|<|>")
_UNIT = re.compile(r"%|/\s*[A-Za-z]+|[A-Za-zµμ]+")
_WINDOWS = re.compile(
    r"(?:over\s+every\s+(?P<every>\S+)|over\s+(?P<last>\S+)|"
    r"in\s+(?P<share>\d+(?:\.\d+)?)\s*%\s+of\s+(?:the\s+)?windows\s+of\s+(?P<of>\S+))\s*"
)


MOST = 1e15
"""Of a limit in its own unit; beyond it a count of a float is no whole number."""


LONGEST_WINDOW_S = 86_400


class GateTextError(ValueError):
    """A text that is no gate; `problems` has all that is wrong with it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse_all(
    asked: Iterable[WrittenGate], vocabulary: Vocabulary, *, conditions: bool = False
) -> tuple[list[Gate], list[str]]:
    """Returns the gates that are sound, and every mistake of the others with its place.

    With `conditions` they are those of `abort_when`: each looks at the last so many seconds, and at no baseline.
    """
    gates, problems = [], []
    for one in asked:
        try:
            gate = parse(one.text)
        except GateTextError as error:
            problems += [f"{one.place}: {one.text!r}: {problem}" for problem in error.problems]
            continue
        found = [*_form_mistakes(gate, conditions=conditions), *mistakes_of_names(gate, vocabulary)]
        problems += [f"{one.place}: {one.text!r}: {problem}" for problem in found]
        gates += [] if found else [gate]
    return gates, problems


def parse(text: str) -> Gate:
    """Reads one gate without a look at variants and stages; raises GateTextError with all that is wrong with it."""
    reader = _Reader(text)
    words, selected, kind = reader.subject()
    operator = reader.operator()
    limit = reader.limit()
    windows = reader.windows()
    problems = list(reader.problems)
    subject, more = _subject(words, selected, kind)
    problems += more
    if subject is not None:
        limit, more = _settled(subject, limit)
        problems += [*more, *_rules(subject, operator, limit, windows)]
    if problems or subject is None:
        raise GateTextError(*problems)
    return Gate(text.strip(), subject, operator, limit, windows)


def mistakes_of_names(gate: Gate, vocabulary: Vocabulary) -> Iterator[str]:
    """Yields what a gate asks that a run with this vocabulary cannot have."""
    subject = gate.subject
    of_open = subject.measure in {"offered", "unsent"} or subject.clock == "lateness" or subject.stage
    if of_open and vocabulary.model not in {OPEN, None}:
        what = "stages" if subject.stage else subject.clock if subject.measure == "time" else subject.measure
        yield f"a closed load has no {what}; only an open one has a schedule to be measured against"
    elif subject.stage and vocabulary.stages is not None and subject.stage not in vocabulary.stages:
        yield f"unknown stage {subject.stage!r}{suggest(subject.stage, vocabulary.stages)}"
    if subject.variant and vocabulary.variants is not None and subject.variant not in vocabulary.variants:
        yield f"unknown variant {subject.variant!r}{suggest(subject.variant, vocabulary.variants)}"


def _form_mistakes(gate: Gate, *, conditions: bool) -> Iterator[str]:
    is_condition = gate.windows is not None and gate.windows.last
    if conditions and not is_condition:
        yield "a condition looks at the last seconds of a run; say how many with `over 5s`"
    if conditions and gate.needs_baseline:
        yield "a condition cannot look at a baseline; give a limit"
    if not conditions and is_condition:
        yield "`over 10s` is for abort_when; a gate is written `over every 10s` or `in 95% of windows of 10s`"


def _subject(words: list[str], selected: dict[str, str], kind: str | None) -> tuple[Subject | None, list[str]]:
    if not words:
        return None, []  # told by the reader
    *before, last = words
    if last in {"rate", "offered", "unsent"}:
        problems = [f"{last!r} is of the whole load; write it without {'.'.join(before)!r}"] if before else []
        problems += ["[kind] belongs behind errors"] if kind is not None else []
        return Subject(last, stage=selected.get("stage", "")), [*problems, *_selector_mistakes(last, "", selected)]  # type: ignore[arg-type]  # one of the literals
    if last == "errors":
        step, problems = resolve_step(before)
        problems += [problem for problem in [kind_mistake(kind)] if kind is not None and problem]
        problems += _selector_mistakes(last, step, selected)
        return Subject("errors", step, kind=kind or "", **selected), problems
    clock = before.pop() if before and before[-1] in CLOCKS else RESPONSE
    if not before and clock != "lateness":
        hint = suggest(last, _FIGURES) if statistic_mistake(last) else f"; write the step before it: create.{last}"
        return None, [f"{'.'.join(words)!r} is no figure of a run{hint}"]
    step, problems = resolve_step(before)
    problems += [problem for problem in [statistic_mistake(last)] if problem]
    problems += ["[kind] belongs behind errors"] if kind is not None else []
    problems += _selector_mistakes("time", step, selected)
    return Subject("time", step, clock, last, **selected), problems


def _selector_mistakes(measure: str, step: str, selected: dict[str, str]) -> list[str]:
    if "variant" in selected and (measure not in {"time", "errors"} or step != CREATE):
        return ["variants are told apart for create alone"]
    return []


def _settled(subject: Subject, limit: Limit) -> tuple[Limit, list[str]]:
    """Returns the limit with the unit that its subject has, where none was written."""
    allowed = QUANTITIES[subject.measure]
    if limit.factor and not limit.unit and not limit.constant:
        return msgspec.structs.replace(limit, unit=allowed[0].value), []
    unit = UNITS.get(limit.unit)
    if unit is not None and unit.quantity in allowed:
        return limit, []
    written = repr(limit.unit) if limit.unit else "a number without one"
    units = [name or "none, for a count" for name, one in UNITS.items() if one.quantity in allowed]
    single = [name for name in units if " " not in name]
    hint = "" if unit is not None else suggest(limit.unit, single).partition(";")[0]
    return limit, [f"the unit of {write_subject(subject)} is one of {', '.join(units)}, not {written}{hint}"]


def _rules(subject: Subject, operator: str, limit: Limit, windows: Windows | None) -> Iterator[str]:
    unit = UNITS.get(limit.unit)
    is_count = unit is not None and unit.quantity is COUNT
    if operator == "==" and unit is not None and not is_count:
        yield "== is for counts; nothing else is met exactly"
    if subject.statistic == "max" and operator not in {"<", "<="}:
        yield "max is judged with < and <= alone"
    if is_count and limit.constant != int(limit.constant):
        yield f"{limit.constant:g} is no count; write a whole number, or a share such as 1%"
    if limit.constant < 0 and not limit.factor:
        yield "a limit is not below 0"
    if windows is not None and subject.measure == "unsent":
        yield "what was never sent is known at the end of a run, not window by window"
    if windows is not None and limit.factor:
        yield "a gate against a baseline is judged over the whole run, not window by window"


class _Reader:
    """Takes a text apart from left to right; what is wrong is collected, and the rest read all the same."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = len(text) - len(text.lstrip())
        self.problems: list[str] = []

    def _take(self, pattern: "re.Pattern[str]") -> "re.Match[str] | None":
        found = pattern.match(self._text, self._at)
        if found:
            self._at = found.end()
            self._at += len(self._text[self._at :]) - len(self._text[self._at :].lstrip())
        return found

    def _takes(self, character: str) -> bool:
        return self._take(re.compile(re.escape(character))) is not None

    def _expect(self, what: str) -> GateTextError:
        rest = self._text[self._at :].strip()
        return GateTextError(*self.problems, f"expected {what} {'before ' + repr(rest) if rest else 'at the end'}")

    def subject(self) -> tuple[list[str], dict[str, str], str | None]:
        words: list[str] = []
        selected: dict[str, str] = {}
        kind = None
        while True:
            if words and self._takes("{"):
                selected |= self._selector()
            elif words and self._takes("["):
                kind = self._kind()
            elif not words or self._takes("."):
                words.append(self._word())
            else:
                return words, selected, kind

    def _word(self) -> str:
        found = self._take(_WORD)
        if found is None:
            raise self._expect("a name, such as create.p99, errors or rate,")
        return found[0]

    def _selector(self) -> dict[str, str]:
        selected: dict[str, str] = {}
        while True:
            key = self._word()
            if not self._takes("="):
                raise self._expect("= and a name")
            value = self._value()
            if key not in _SELECTORS:
                self.problems.append(f"unknown selector {key!r}{suggest(key, _SELECTORS)}")
            elif key in selected:
                self.problems.append(f"{key} is given twice")
            else:
                selected[key] = value
            if self._takes("}"):
                return selected
            if not self._takes(","):
                raise self._expect(", or } (quote a name that holds anything but letters, digits and . : / @ + - _)")

    def _value(self) -> str:
        quoted = self._take(_QUOTED)
        if quoted:
            inner = quoted[1] if quoted[1] is not None else quoted[2]
            value = re.sub(r"\\(.)", r"\1", inner)
        else:
            bare = self._take(_BARE)
            value = bare[0] if bare else ""
        if not value:
            raise self._expect("a name")
        return value

    def _kind(self) -> str:
        kind = self._take(re.compile(r"[^\]\s]+"))
        if kind is None or not self._takes("]"):
            raise self._expect("an error kind and ]")
        return kind[0]

    def operator(self) -> Operator:
        found = self._take(_OPERATOR)
        if found is None:
            raise self._expect("one of " + ", ".join(OPERATORS))
        if found[0] not in OPERATORS:
            self.problems.append(f"unknown comparison {found[0]!r}; allowed: {', '.join(OPERATORS)}")
            return "<"
        return found[0]  # type: ignore[return-value]  # one of the literals, as was just seen

    def limit(self) -> Limit:
        limit, sign = self._term(1.0), 0.0
        while sign := 1.0 if self._takes("+") else -1.0 if self._takes("-") else 0.0:
            limit = self._sum(limit, self._term(sign))
        return limit

    def _sum(self, left: Limit, right: Limit) -> Limit:
        factor = left.factor + right.factor
        if factor < 0:
            self.problems.append("the baseline must count for 0 times or more")
        if not left.unit and left.factor and not left.constant:
            return Limit(right.constant, right.unit, factor)
        if not right.unit and right.factor and not right.constant:
            return Limit(left.constant, left.unit, factor)
        units = [UNITS.get(limit.unit) for limit in (left, right)]
        if units[0] is None or units[1] is None or units[0].quantity is not units[1].quantity:
            self.problems.append(f"{left.unit or 'a count'} and {right.unit or 'a count'} do not add up")
            return left
        constant = (left.constant * units[0].scale + right.constant * units[1].scale) / units[0].scale
        return Limit(constant, left.unit, factor)

    def _term(self, sign: float) -> Limit:
        if self._take(re.compile(r"baseline\b")):
            factor = self._factor() if self._takes("*") else 1.0
            return Limit(0.0, "", sign * factor)
        number = self._take(_NUMBER)
        if number is None:
            raise self._expect("a limit, such as 250ms, 1%, 500/s, 0 or baseline * 1.1,")
        value = self._value_of(number[0])
        if self._takes("*"):
            if not self._take(re.compile(r"baseline\b")):
                raise self._expect("baseline")
            return Limit(0.0, "", sign * value)
        return Limit(sign * value, self._unit())

    def _factor(self) -> float:
        number = self._take(_NUMBER)
        if number is None:
            raise self._expect("a number")
        return self._value_of(number[0])

    def _value_of(self, number: str) -> float:
        value = float(re.sub("[_,]", "", number))
        if value > MOST:
            self.problems.append(f"{number[:20]!r} is beyond what any run can reach; write a number up to {MOST:g}")
            return MOST
        return value

    def _unit(self) -> str:
        if _WINDOWS.match(self._text, self._at) or re.compile(r"(over|in)\b").match(self._text, self._at):
            return ""
        unit = self._take(_UNIT)
        return unit[0].replace(" ", "").replace("μ", "µ") if unit else ""

    def windows(self) -> Windows | None:
        if not self._text[self._at :].strip():
            return None
        found = self._take(_WINDOWS)
        if found is None or self._text[self._at :].strip():
            raise self._expect("nothing more, `over every 10s` or `in 95% of windows of 10s`,")
        try:
            length_s = parse_duration_s(found["every"] or found["last"] or found["of"])
        except ValueError as error:
            self.problems.append(str(error))
            return None
        share = 100.0 if found["share"] is None else float(found["share"])
        if length_s < 1 or length_s != int(length_s):
            self.problems.append("a window is a whole number of seconds, as results are kept by the second")
        if length_s > LONGEST_WINDOW_S:
            self.problems.append(f"a window is at most a day long, {LONGEST_WINDOW_S} s")
        if not 0 < share <= 100:  # noqa: PLR2004 -- percent
            self.problems.append("a share of windows lies above 0% and is at most 100%")
        return Windows(length_s, share, last=found["last"] is not None)
