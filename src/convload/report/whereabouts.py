"""When and where a gate was broken: the seconds, stages, variants and outcomes of the requests that made it so."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from weakref import WeakKeyDictionary

import msgspec

from convload.contract.outcomes import OK
from convload.judging.gate_result import PASS, GateResult
from convload.plan.gate import Gate
from convload.plan.gate_grammar import GateTextError, parse
from convload.plan.gate_names import UNITS
from convload.report.figures import count, percent
from convload.results.histogram import Histogram, short
from convload.results.run import Run
from convload.results.runlog import MEASURE, Cell, Interval
from convload.results.window import middle_s

_MOST_OF_THEM = 0.8
"""So many of the requests are looked for in as few seconds as they fit into."""

_SCATTERED = 0.5
"""They are all over the run where that takes more than this share of it."""

_NEAR_S = 2
"""Stretches with so little between them are one."""

_MOST_STRETCHES = 4
_STANDS_OUT = 1.5
"""A stage or variant is named that has half of them, and this many times its share of all requests."""

_KINDS = 3

Stretch = tuple[int, int]
"""From a second up to another."""


class Where(msgspec.Struct, frozen=True):
    """Where a gate was broken: in a sentence, and the stretches of time to be marked."""

    gate: GateResult
    text: str
    stretches: Sequence[Stretch] = ()


_known: WeakKeyDictionary[Run, tuple[Sequence[GateResult], list[Where]]] = WeakKeyDictionary()
"""All reports of a run ask for the same, and the times of a long one take long to decode."""


def of_gates(run: Run, gates: Sequence[GateResult]) -> list[Where]:
    """Returns it for each gate that failed or is undecided, as far as single requests or seconds make it so."""
    asked, found = _known.get(run, ((), []))
    if asked != gates:
        all_found = (_of_gate(run, gate) for gate in gates if gate.outcome != PASS and gate.limit is not None)
        found = [one for one in all_found if one is not None]
        _known[run] = gates, found
    return found


def _of_gate(run: Run, result: GateResult) -> Where | None:
    try:
        gate = parse(result.gate)
    except GateTextError:
        return None
    limit = (result.limit or 0.0) * UNITS[gate.limit.unit].scale
    if gate.subject.measure in {"time", "errors"} and gate.operator in {"<", "<="}:
        return _of_requests(run, result, gate, limit)
    if gate.subject.measure in {"rate", "offered"} and gate.operator in {">", ">="}:
        return _of_rates(run, result, gate, limit)
    return None


class _Share:
    """Counts requests of each second, stage, variant and outcome, and the bad ones among them."""

    def __init__(self) -> None:
        self.all = {name: Counter[str]() for name in ("stage", "variant")}
        self.bad = {name: Counter[str]() for name in ("stage", "variant", "outcome")}
        self.seconds: Counter[int] = Counter()
        self.count = 0

    def add(self, interval: Interval, cell: Cell, bad: int) -> None:
        self.count += cell.count
        for name in self.all:
            self.all[name][getattr(cell, name)] += cell.count
        if bad:
            for name in self.bad:
                self.bad[name][getattr(cell, name)] += bad
            self.seconds[math.floor(middle_s(interval))] += bad


def _of_requests(run: Run, result: GateResult, gate: Gate, limit: float) -> Where | None:
    shares, is_bad = _Share(), _bad_of(gate, limit)
    for interval, cell in _cells(run, gate):
        shares.add(interval, cell, is_bad(cell))
    bad = sum(shares.seconds.values())
    if not bad:
        return None
    what = f"took longer than {short(limit)} ms" if gate.subject.measure == "time" else "failed"
    kinds = shares.bad["outcome"].most_common(_KINDS) if gate.subject.measure == "errors" else []
    named = f" ({', '.join(f'{kind} {percent(many, bad)}' for kind, many in kinds)})" if kinds else ""
    stretches, when = _when(run, shares.seconds, "those")
    places = [text for name in ("stage", "variant") for text in _standing_out(name, shares, bad)]
    text = f"{count(bad)} of {count(shares.count)} requests {what}{named}; {'; '.join([when, *places])}."
    return Where(result, text, stretches)


def _bad_of(gate: Gate, limit_ms: float) -> Callable[[Cell], int]:
    """Returns what counts the requests of a cell that speak against a gate."""
    kind, clock = gate.subject.kind, gate.subject.clock
    if gate.subject.measure == "errors":
        return lambda cell: cell.count if (cell.outcome == kind if kind else cell.outcome != OK) else 0
    return lambda cell: (
        Histogram.decode(getattr(cell, clock) or cell.service).above(1000 * limit_ms) if cell.outcome == OK else 0
    )


def _cells(run: Run, gate: Gate) -> Iterator[tuple[Interval, Cell]]:
    subject = gate.subject
    for interval in run.results:
        for cell in interval.cells:
            # Times are of requests that succeeded.
            counts = subject.measure != "time" or cell.outcome == OK
            is_meant = cell.step == subject.step and cell.phase == MEASURE and counts
            if is_meant and subject.variant in {"", cell.variant} and subject.stage in {"", cell.stage}:
                yield interval, cell


def _of_rates(run: Run, result: GateResult, gate: Gate, limit: float) -> Where | None:
    name = "requests_per_s" if gate.subject.measure == "rate" else "offered_per_s"
    times = run.times(gate.subject.stage)
    rows = [row for row in run.series if any(time.from_s <= row.t_s and row.t_s + 1 <= time.to_s for time in times)]
    short_of = Counter({row.t_s: limit - getattr(row, name) for row in rows if getattr(row, name) < limit})
    if not short_of:
        return None
    stretches, when = _when(run, short_of, "what was missing")
    said = f"{count(len(short_of))} of {count(len(rows))} seconds were below {short(limit)}/s"
    return Where(result, f"{said}; {when}.", stretches)


def _when(run: Run, weights: Counter[int], of: str) -> tuple[list[Stretch], str]:
    """Returns the shortest time in which most of it lies, in stretches, and says it."""
    total, wanted, chosen = sum(weights.values()), 0.0, []
    for second, weight in sorted(weights.items(), key=lambda one: (-one[1], one[0])):
        if wanted >= _MOST_OF_THEM * total:
            break
        wanted += weight
        chosen.append(second)
    stretches = _joined(sorted(chosen))
    length_s = sum(to - start for start, to in stretches)
    if length_s > max(_SCATTERED * run.window.length_s, 1) or len(stretches) > _MOST_STRETCHES:
        return [], "they are spread over the whole run" if of == "those" else "that is so throughout the run"
    inside = sum(weight for second, weight in weights.items() if any(a <= second < b for a, b in stretches))
    times = ", ".join(f"from {start} to {to} s" for start, to in stretches)
    return stretches, f"{100 * inside / total:.0f} % of {of} {times}"


def _joined(seconds: Sequence[int]) -> list[Stretch]:
    found: list[Stretch] = []
    for second in seconds:
        if found and second <= found[-1][1] + _NEAR_S:
            found[-1] = found[-1][0], second + 1
        else:
            found.append((second, second + 1))
    return found


def _standing_out(name: str, shares: _Share, bad: int) -> Iterator[str]:
    for value, many in shares.bad[name].most_common(1):
        part, whole = many / bad, shares.all[name][value] / shares.count
        if value and part >= 1 / 2 and part >= _STANDS_OUT * whole:
            yield f"{name} {value} has {100 * part:.0f} % of them and {100 * whole:.0f} % of all requests"
