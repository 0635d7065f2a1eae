"""What the verdict of a run rests on: key figures, gates, validity."""

from convload.comparison.conclusion import Conclusion
from convload.contract.steps import CREATE
from convload.plan.facts import OPEN
from convload.report import figures
from convload.report.document import (
    BRIEF,
    HTML,
    MARKDOWN,
    PAGES,
    Bullets,
    Code,
    Column,
    Mark,
    Note,
    Section,
    Table,
    Tile,
    Tiles,
)


def key_figures(conclusion: Conclusion) -> Section:
    """Returns what is read from afar."""
    summary, is_open = conclusion.summary, conclusion.summary.model == OPEN
    create = summary.steps.get(CREATE)
    count, ok = (create.count, create.ok) if create else (0, 0)
    times = [
        _tile(
            f"{'response' if is_open else 'create'} {name}",
            create.response_ms.get(name) if create else None,
            "ms",
            f"service {figures.about(create.service_ms.get(name) if create else None)}" if is_open else "",
        )
        for name in ("p50", "p95", "p99")
    ]
    sent = "sent" if is_open else "throughput"
    blanks = figures.blanks([create], [("response", name) for name in ("p50", "p95", "p99")]) if create else ""
    return Section(
        title="Key figures",
        blocks=[
            Tiles(
                [
                    *times,
                    _tile(
                        sent, summary.achieved_rate, "/s", f"offered {figures.about(summary.offered_rate)}" * is_open
                    ),
                    Tile(
                        name="failed",
                        figure=figures.percent(count - ok, count),
                        more=f"never sent {figures.count(summary.unsent)}" * is_open,
                        tone="bad" if summary.unsent or ok < count else "",
                    ),
                    Tile(
                        name="conversations",
                        figure=figures.count(ok),
                        more=f"of {figures.count(count + summary.unsent)} due" * is_open,
                    ),
                ]
            ),
            Note(
                f"{figures.MODEL_NOTES.get(summary.model, '')} Times are of successful create requests after the "
                f"warm-up; {sent} counts failed ones too. {blanks}",
                tone="muted",
            ),
        ],
        on=(HTML,),
        form="untitled",
    )


def gates(conclusion: Conclusion) -> Section:
    """Returns the gates with what each found, and how they are judged."""
    built_in = any(gate.builtin for gate in conclusion.gates)
    rule = (
        "A plan without gates has this one: the measured value decides, the bounds say how sure it is."
        if built_in
        else "A gate passes when the bound towards its limit meets it, fails when the other bound breaks it, and is "
        "inconclusive between. Bounds are of independent samples; counts are exact."
    )
    undecided = [gate for gate in conclusion.gates if gate.outcome == "inconclusive"]
    supports = "The run supports a verdict." if conclusion.validity.valid else "The run supports no verdict."
    return Section(
        title="Gates",
        blocks=[
            Note(figures.aborted(conclusion), on=(MARKDOWN,)),
            Note(supports, on=(MARKDOWN,)),
            Bullets(figures.asides(conclusion), on=(MARKDOWN,)),
            gates_table(conclusion),
            Note(rule, on=(HTML,), tone="muted"),
            *(Note((Code(gate.gate), f": {gate.message}."), on=(HTML,), tone="muted") for gate in undecided),
        ],
        on=(BRIEF, *PAGES),
        form="half",
    )


def gates_table(conclusion: Conclusion) -> Table:
    """Returns a row a gate."""
    return Table(
        [
            Column(head="gate", kind="words"),
            Column(head="outcome", kind="words"),
            Column(head="value"),
            Column(head=figures.bounds_head(conclusion.gates)),
            Column(head="limit", on=PAGES),
        ],
        [
            [
                (Code(gate.gate), " (built in)" if gate.builtin else ""),
                Mark(gate.outcome, gate.outcome),
                figures.gate_value(gate),
                figures.gate_interval(gate),
                figures.gate_limit(gate),
            ]
            for gate in conclusion.gates
        ],
    )


def validity(conclusion: Conclusion) -> Section:
    """Returns whether the run supports a verdict, and why not."""
    valid = conclusion.validity.valid
    mark = Mark("valid", "pass") if valid else Mark("not valid", "inconclusive")
    said = " The record of the run is whole and adds up." if valid else " The run supports no verdict:"
    chain = " → ".join(f"{count} {name}" for name, count in figures.reconciliation(conclusion.summary))
    return Section(
        title="Validity",
        blocks=[
            Note((mark, said)),
            Bullets(conclusion.validity.reasons),
            *(Note(f"{text}.", tone="muted") for text in figures.asides(conclusion)),
            Note(chain),
            Note(
                "Create requests of the whole run, warm-up included. Left open: "
                f"{figures.count(conclusion.summary.left_open)}.",
                tone="muted",
            ),
        ],
        on=(HTML,),
        form="half",
    )


def invalid(conclusion: Conclusion) -> list[str]:
    """Returns a line a reason why a run is no evidence."""
    return [f"Not valid: {reason}" for reason in conclusion.validity.reasons]


def _tile(name: str, value: float | None, unit: str, more: str) -> Tile:
    return Tile(name=name, figure=figures.about(value), unit="" if value is None else unit, more=more)
