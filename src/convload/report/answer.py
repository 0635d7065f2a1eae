"""What the verdict of a run rests on: key figures, gates, validity."""

from collections.abc import Callable, Sequence

import msgspec

from convload.comparison.conclusion import Conclusion
from convload.comparison.two_targets import TargetComparison
from convload.contract.steps import CREATE
from convload.judging.gate_result import GateResult
from convload.plan.facts import OPEN
from convload.report import document as doc
from convload.report import figures
from convload.report.whereabouts import Where

_KEY = ("p50", "p95", "p99")


def key_figures(conclusion: Conclusion) -> doc.Section:
    """Returns what is read from afar."""
    summary, is_open = conclusion.summary, conclusion.summary.model == OPEN
    create = summary.steps.get(CREATE)
    count, ok, response, service = (
        (create.count, create.ok, create.response_ms, create.service_ms) if create else (0, 0, {}, {})
    )
    kind, sent = ("response", "sent") if is_open else ("create", "throughput")
    services = {name: f"service {figures.about(service.get(name))}" for name in _KEY}
    unsent, tone = f"never sent {figures.count(summary.unsent)}", "bad" if summary.unsent or ok < count else ""
    tiles = [
        *(_tile(f"{kind} {name}", response.get(name), "ms", services[name]) for name in _KEY),
        _tile(sent, summary.achieved_rate, "/s", f"offered {figures.about(summary.offered_rate)}"),
        doc.Tile("failed", figures.percent(count - ok, count), more=unsent, tone=tone),
        doc.Tile("conversations", figures.count(ok), more=f"of {figures.count(count + summary.unsent)} due"),
    ]
    blanks = figures.blanks([create], [("response", name) for name in _KEY]) if create else ""
    note = (
        f"{figures.MODEL_NOTES.get(summary.model, '')} Times are of successful create requests after the warm-up; "
        f"{sent} counts failed ones too. {blanks}"
    )
    # Without a schedule nothing was offered, and there is one clock.
    shown = tiles if is_open else [msgspec.structs.replace(tile, more="") for tile in tiles]
    blocks: list[doc.Block] = [doc.Tiles(shown), doc.Remark(note, tone="muted")]
    return doc.Section("Key figures", blocks, on=(doc.HTML,), form="untitled")


def tiles_of_targets(turns: TargetComparison) -> doc.Tiles:
    """Returns what is read from afar of each of two targets: none is of both together."""
    tiles: list[doc.Tile] = []
    for target, steps in turns.figures.items():
        if create := steps.get(CREATE):
            tiles += [_tile(f"{name} of {target}", create.response_ms.get(name), "ms", "") for name in _KEY]
            tiles.append(doc.Tile(f"failed of {target}", figures.percent(create.count - create.ok, create.count)))
    return doc.Tiles(tiles, form="pairs")


def gates(conclusion: Conclusion, places: Sequence[Where]) -> doc.Section:
    """Returns the gates with what each found, when and where those that do not hold were broken, and the rules."""
    undecided = [gate for gate in conclusion.gates if gate.outcome == "inconclusive"]
    supports = "The run supports a verdict." if conclusion.validity.valid else "The run supports no verdict."
    return doc.Section(
        "Gates",
        [
            doc.Remark(figures.aborted(conclusion), on=(doc.MARKDOWN,)),
            doc.Remark(supports, on=(doc.MARKDOWN,)),
            doc.Bullets(figures.asides(conclusion), on=(doc.MARKDOWN,)),
            gates_table(conclusion),
            *(doc.Remark((doc.Code(one.gate.gate), f": {one.text}"), on=doc.PAGES) for one in places),
            doc.Remark(_rule(conclusion), on=(doc.HTML,), tone="muted"),
            *(doc.Remark((doc.Code(gate.gate), f"{_rest(gate)}."), on=(doc.HTML,), tone="muted") for gate in undecided),
        ],
        on=(doc.BRIEF, *doc.PAGES),
    )


def _rest(gate: GateResult) -> str:
    """Returns what is said of a gate behind its name; those of a plan say it themselves."""
    rest = gate.message.removeprefix(gate.gate)
    return f": {rest}" if rest == gate.message else rest


def _rule(conclusion: Conclusion) -> str:
    """Says how the gates were decided, and what their bounds assume."""
    built_in = all(gate.builtin for gate in conclusion.gates)
    worth = (
        "Requests wait for each other: bounds count them as the independent ones that they are worth, and know of "
        "nothing that is rarer than the run"
    )
    if conclusion.manifest.plan.get("independent"):
        worth = "The plan says that requests are independent of each other, and bounds take them for that"
    elif not any(map(figures.knows_worth, conclusion.gates)):
        worth = "Bounds take requests for independent of each other, as nothing is known of that"
    if any(figures.gate_range(gate) != figures.NONE for gate in conclusion.gates):
        worth += ". Undelayed: between what a time lies, as the generator itself may have added to it"
    if built_in:
        return f"A plan without gates has one for each step: the measured value decides. {worth}."
    return (
        "A gate passes when the bound towards its limit meets it, fails when the other bound breaks it, and is "
        f"inconclusive between. {worth}; counts are exact."
    )


def gates_table(conclusion: Conclusion) -> doc.Table:
    """Returns a row a gate; a column in which none has anything is left out."""
    found = conclusion.gates
    more: list[tuple[doc.Column, Callable[[GateResult], str]]] = [
        (doc.Column("undelayed", on=doc.IN_FULL), figures.gate_range),
        (doc.Column("requests", on=doc.IN_FULL), figures.gate_samples),
        (doc.Column("worth", on=doc.IN_FULL), figures.gate_worth),
        (doc.Column("to decide", on=doc.IN_FULL), figures.gate_longer),
    ]
    return doc.table(
        found,
        (doc.Column("gate", "words"), lambda one: (doc.Code(one.gate), " (built in)" if one.builtin else "")),
        (doc.Column("outcome", "name"), lambda one: doc.Mark(one.outcome, one.outcome)),
        (doc.Column("", "bar", on=(doc.HTML,)), figures.gate_bar),
        (doc.Column("value"), figures.gate_value),
        (doc.Column(figures.bounds_head(conclusion.gates)), figures.gate_interval),
        (doc.Column("limit", on=doc.PAGES), figures.gate_limit),
        *((column, cell) for column, cell in more if any(cell(gate) != figures.NONE for gate in found)),
    )


def validity(conclusion: Conclusion) -> doc.Section:
    """Returns whether the run supports a verdict, and why not."""
    mark, said = doc.Mark("not valid", "inconclusive"), " The run supports no verdict:"
    if conclusion.validity.valid:
        mark, said = doc.Mark("valid", "pass"), " The record of the run is whole and adds up."
    left = figures.count(conclusion.summary.left_open)
    blocks: list[doc.Block] = [
        doc.Remark((mark, said)),
        doc.Bullets(conclusion.validity.reasons),
        *(doc.Remark(f"{text}.", tone="muted") for text in figures.asides(conclusion)),
        doc.Remark(" → ".join(f"{count} {name}" for name, count in figures.reconciliation(conclusion.summary))),
        doc.Remark(f"Create requests of the whole run, warm-up included. Left open: {left}.", tone="muted"),
    ]
    return doc.Section("Validity", blocks, on=(doc.HTML,))


def doubts(conclusion: Conclusion) -> list[str]:
    """Returns a line for each thing that speaks against a run, and for what should be known beside it."""
    invalid = [f"Not valid: {reason}" for reason in conclusion.validity.reasons]
    return [*filter(None, [figures.aborted(conclusion)]), *invalid, *figures.asides(conclusion)]


def _tile(name: str, value: float | None, unit: str, more: str) -> doc.Tile:
    return doc.Tile(name, figures.about(value), "" if value is None else unit, more)
