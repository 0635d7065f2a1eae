"""What a gate is once it was read, and how it is written down again."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from convload.contract.steps import CREATE
from convload.plan.gate_names import RESPONSE, UNITS, Quantity, shortest

Measure = Literal["time", "errors", "rate", "offered", "unsent"]
Operator = Literal["<", "<=", ">", ">=", "=="]

ALL_PERCENT = 100.0

_PLAIN_NAME = re.compile(r"[\w.-]+")


class Subject(msgspec.Struct, frozen=True):
    """What a gate looks at. Empty `variant` and `stage` mean all; `kind` is an error kind, empty for any.

    `statistic` is "max" or a percentile such as "p99.9", and `clock` its clock, both for a time alone.
    """

    measure: Measure
    step: str = CREATE
    clock: str = ""
    statistic: str = ""
    kind: str = ""
    variant: str = ""
    stage: str = ""

    @property
    def percent(self) -> float | None:
        """The percentile's percent; None where the statistic is none."""
        return float(self.statistic[1:]) if self.statistic[:1] == "p" else None


class Limit(msgspec.Struct, frozen=True):
    """What the subject is held against: `factor` · baseline + `constant`, the constant in `unit`."""

    constant: float
    unit: str
    factor: float = 0.0


class Windows(msgspec.Struct, frozen=True):
    """A gate that is asked of parts of the run: it must hold in `percent` of consecutive windows of `length_s`.

    `last`: of the most recent window alone; that is what a condition of `abort_when` looks at.
    """

    length_s: float
    percent: float = ALL_PERCENT
    last: bool = False


class Gate(msgspec.Struct, frozen=True):
    """One parsed gate; `text` is what was written, without the space around it."""

    text: str
    subject: Subject
    operator: Operator
    limit: Limit
    windows: Windows | None = None

    @property
    def quantity(self) -> Quantity:
        """Time, share, rate or count."""
        return UNITS[self.limit.unit].quantity

    @property
    def needs_baseline(self) -> bool:
        """Whether the limit depends on another run."""
        return bool(self.limit.factor)


class Vocabulary(msgspec.Struct, frozen=True):
    """The names that a gate of one run may use; None: not known, so not checked."""

    model: str | None = None
    stages: Sequence[str] | None = None
    variants: Sequence[str] | None = None


class WrittenGate(msgspec.Struct, frozen=True):
    """A gate as it was written, and where: `plans/gate.toml:4`, `--gate`, `CONVLOAD_GATES`."""

    place: str
    text: str


def write(gate: Gate) -> str:
    """Returns the shortest text that reads back as this gate."""
    windows = gate.windows
    tail = ""
    if windows is not None:
        length = f"{_number(windows.length_s)}s"
        share = f" in {_number(windows.percent)}% of windows of {length}"
        every = share if windows.percent < ALL_PERCENT else f" over every {length}"
        tail = f" over {length}" if windows.last else every
    return f"{write_subject(gate.subject)} {gate.operator} {write_limit(gate.limit)}{tail}"


def write_subject(subject: Subject) -> str:
    """Returns the part of a gate before the operator."""
    selected = {"variant": subject.variant, "stage": subject.stage}
    pairs = ", ".join(f"{key}={_name(value)}" for key, value in selected.items() if value)
    selector = f"{{{pairs}}}" if pairs else ""
    if subject.measure == "time":
        clock = "" if subject.clock == RESPONSE else f".{subject.clock}"
        return f"{shortest(subject.step)}{selector}{clock}.{subject.statistic}"
    if subject.measure == "errors":
        kind = f"[{subject.kind}]" if subject.kind else ""
        if subject.step == CREATE:
            return f"errors{selector}{kind}"
        return f"{shortest(subject.step)}{selector}.errors{kind}"
    return f"{subject.measure}{selector}"


def write_limit(limit: Limit) -> str:
    """Returns the part of a gate behind the operator."""
    constant = f"{_number(abs(limit.constant))}{limit.unit}"
    if not limit.factor:
        return constant
    factor = "" if limit.factor == 1 else f" * {_number(limit.factor)}"
    if not limit.constant and limit.unit and UNITS[limit.unit].scale == 1:
        return f"baseline{factor}"
    # What no unit stands behind is a count, so the 0 of one is not left out.
    return f"baseline{factor} {'-' if limit.constant < 0 else '+'} {constant}"


def _name(value: str) -> str:
    if _PLAIN_NAME.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number(value: float) -> str:
    """Writes a number with all its digits and no exponent, which the grammar has not."""
    return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"
