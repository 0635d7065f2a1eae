"""The keys of a plan that say how its run is judged: gates, their file, the conditions that stop it early."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from convload.errors import UsageError, why_unread
from convload.payloads.catalogue import Catalogue, default_folder
from convload.plan.gate import Gate, Vocabulary, WrittenGate
from convload.plan.gate_grammar import parse_all
from convload.plan.sources import Source

GATE_KEYS = frozenset({"gates", "gates_file", "baseline_gates"})
"""Of several sources the newest that has any of them says all gates."""


def written_gates(sources: Sequence[Source], *, has_baseline: bool) -> tuple[list[WrittenGate], list[str]]:
    """Returns the gates of the newest source that has any, and what is wrong with their file.

    Those of `baseline_gates` are asked where a baseline is given, so that one plan runs with and without one.
    """
    newest = next((one for one in reversed(sources) if one.values.keys() & GATE_KEYS), None)
    if newest is None:
        return [], []
    asked = _items(newest, "gates")
    if has_baseline:
        asked += _items(newest, "baseline_gates")
    if "gates_file" not in newest.values:
        return asked, []
    try:
        return asked + list(read_gates_file(Path(str(newest.values["gates_file"])))), []
    except UsageError as error:
        return asked, [f"{newest.name('gates_file')}: {problem}" for problem in error.problems]


def baseline_gate_mistakes(sources: Sequence[Source]) -> list[str]:
    """Returns what is wrong with gates that are kept for a baseline, also where none is given."""
    asked = [gate for source in sources for gate in _items(source, "baseline_gates")]
    problems = gate_mistakes(asked, [], Vocabulary())
    sound = [one for one in asked if not gate_mistakes([one], [], Vocabulary())]
    without = [one for one in sound if not parsed([one.text])[0].needs_baseline]
    return problems + [
        f"{one.place}: {one.text!r}: compares with no baseline; it belongs into gates" for one in without
    ]


def written_conditions(sources: Sequence[Source]) -> list[WrittenGate]:
    """Returns the conditions of the newest source that has any."""
    newest = next((one for one in reversed(sources) if "abort_when" in one.values), None)
    return _items(newest, "abort_when") if newest else []


def read_gates_file(path: Path) -> Iterator[WrittenGate]:
    """Yields the gates of a file, one a line, no blanks and no #; raises UsageError where it is unreadable or empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {why_unread(error)}") from error
    found = [(n, line.strip()) for n, line in enumerate(lines, 1) if line.strip() and not line.strip().startswith("#")]
    if not found:
        raise UsageError(f"{path}: holds no gate; write one a line")
    yield from (WrittenGate(f"{path}:{number}", line) for number, line in found)


def gate_mistakes(gates: Sequence[WrittenGate], conditions: Sequence[WrittenGate], vocabulary: Vocabulary) -> list[str]:
    """Returns every mistake of gates and conditions, each with its place."""
    _, problems = parse_all(gates, vocabulary)
    _, more = parse_all(conditions, vocabulary, conditions=True)
    return problems + more


def parsed(gates: Sequence[str], conditions: Sequence[str] = ()) -> list[Gate]:
    """Returns the parsed gates and conditions of a plan that was checked before."""
    found, _ = parse_all([WrittenGate("", text) for text in gates], Vocabulary())
    return found + parse_all([WrittenGate("", text) for text in conditions], Vocabulary(), conditions=True)[0]


def variants_of(payloads: str | None, mix: str, *, replayed: bool) -> list[str] | None:
    """Returns the variants that a run can draw; None where mistakes of the payload folder keep them unknown.

    A replay may name any variant, so all are allowed. What is wrong with the folder is told when the run reads it.
    """
    try:
        catalogue = Catalogue.read(Path(payloads) if payloads else default_folder())
    except UsageError:
        return None
    weights = catalogue.mixes.get(mix)
    if replayed or weights is None:
        return sorted(catalogue.variants)
    return sorted(name for name, weight in weights.items() if weight)


def _items(source: Source, key: str) -> list[WrittenGate]:
    items = source.values.get(key, [])
    texts = [item for item in items if isinstance(item, str)] if isinstance(items, list | tuple) else []
    return [WrittenGate(source.place(key, text), text) for text in texts]
