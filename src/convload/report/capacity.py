"""The contents of a capacity search's report: how much, how sure, why, and what happens beyond."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from convload.errors import ExitCode
from convload.report import capacity_charts, github, markdown, mermaid
from convload.report import document as doc
from convload.report.figures import NONE, about
from convload.results.capacity_result import Bounded, CapacityResult, Trial
from convload.results.histogram import short

_OUTCOMES: dict[ExitCode, doc.Tone] = {
    ExitCode.PASS: "pass",
    ExitCode.GATE_FAILED: "fail",
    ExitCode.INCONCLUSIVE: "inconclusive",
    ExitCode.INTERRUPTED: "interrupted",
}
_ANNOTATIONS = {"pass": "notice", "fail": "error"}
_FEWEST_LOADS = 2


def github_report(result: CapacityResult, folder: Path) -> github.StepReport:
    """Returns the answer as an annotation, capacity.md, and the outputs; a bound that is open is empty."""
    outcome, bounds = _OUTCOMES[result.exit_code], result.capacity_per_s
    return github.StepReport(
        annotations=github.commands(_ANNOTATIONS.get(outcome, "warning"), [("capacity", result.statement)]),
        summary=markdown.render(document(result)),
        outputs={
            "outcome": outcome,
            "exit_code": str(int(result.exit_code)),
            "text": doc.visible(result.statement),
            "capacity_low": github.stated(bounds.low),
            "capacity_high": github.stated(bounds.high),
            "limited_by": result.limited_by,
            "goodput": github.stated(result.goodput_per_s),
            "folder": str(folder),
            "report": str(folder / "report.html"),
        },
        whole="capacity.md of the run folder",
    )


def document(result: CapacityResult, limit_ms: float | None = None) -> doc.Document:
    """Returns the report."""
    needs = [part.text for part in (result.instances, result.peak, result.generator_need) if part]
    laws, course = _laws(result), _course(result)
    notes: list[doc.Block] = [doc.Bullets(result.notes), *(doc.Remark(text) for text in needs)]
    drawn = doc.Charts(capacity_charts.charts(result, limit_ms))
    objective = _listed([doc.Code(gate) for gate in result.objective])
    return doc.Document(
        kind="capacity",
        title="Capacity",
        heading="Capacity",
        subtitle=_subtitle(result, objective),
        statement=result.statement,
        tone=_OUTCOMES[result.exit_code],
        sections=[
            doc.Section("Trials", [_trials(result)], on=(doc.DETAILS,)),
            doc.Section("Capacity", [_large(result)], on=(doc.HTML,), form="untitled"),
            doc.Section("How it came about", [doc.Remark(course), *notes], on=(doc.HTML,)),
            doc.Section("", [*notes, doc.Remark(["Objective: ", *objective, ". ", course])], on=(doc.MARKDOWN,)),
            doc.Section("By load", [*_diagrams(result.trials), drawn], on=doc.PAGES, form="plain"),
            doc.Section("Beyond capacity", _beyond(result)),
            doc.Section("Scalability", [doc.Bullets(laws)], on=doc.PAGES),
            doc.Section("", [doc.Bullets([*laws, course, *result.notes, *needs])], on=doc.TERMINAL),
            doc.Section("Trials", [_trials(result)], on=doc.PAGES),
        ],
        footer="Rendered from capacity.json by convload.",
        data=capacity_charts.columns(result),
    )


def _subtitle(result: CapacityResult, objective: Sequence[str | doc.Code]) -> list[doc.Words]:
    asked: doc.Words = ["Objective: ", *objective]
    of: doc.Words = ["Target ", doc.Code(result.target), f", started {result.started}"]
    return [asked, of] if result.target else [asked]


def _large(result: CapacityResult) -> doc.Tiles:
    """Returns the one figure that is looked for, with its interval, and what the target got done there."""
    bounds = result.capacity_per_s
    low, high = (None if bound is None else about(bound) for bound in (bounds.low, bounds.high))
    figure = f"{low} to {high}" if low and high else f"at least {low}" if low else f"below {high}" if high else NONE
    more = f"with {100 * result.confidence:.3g} % confidence, limited by the {result.limited_by}"
    tiles = [doc.Tile("capacity", figure, "conversations/s", more)]
    if result.goodput_per_s is not None:
        tiles.append(doc.Tile("goodput there", about(result.goodput_per_s), "/s"))
    if result.sustained_per_s is not None:
        tiles.append(doc.Tile("done when overloaded", about(result.sustained_per_s), "/s"))
    return doc.Tiles(tiles, form="large")


def _listed(words: Sequence[doc.Code]) -> list[str | doc.Code]:
    return [part for word in words for part in (", ", word)][1:]


def _trials(result: CapacityResult) -> doc.Table:
    load, figure = ("users", lambda value: short(value, 4)) if result.saturation else ("rate /s", about)
    return doc.table(
        result.trials,
        (_column("at s"), lambda one: f"{one.at_s:.0f}"),
        (_column(load), lambda one: figure(one.rate)),
        (_column("for s"), lambda one: short(one.duration_s)),
        (_column("outcome"), lambda one: f"{one.verdict}, overruled" if one.overruled else one.verdict),
        (_column("achieved /s"), lambda one: about(one.achieved_per_s)),
        (_column("good /s"), lambda one: about(one.goodput_per_s)),
        (_column("p99 ms"), lambda one: about(one.response_p99_ms)),
        (_column("broke"), lambda one: ", ".join(one.broken)),
    )


def _beyond(result: CapacityResult) -> list[doc.Block]:
    if result.overload is None:
        return [doc.Remark("Nothing was measured beyond capacity.", on=(doc.HTML,), tone="muted")]
    table = doc.table(
        result.overload.points,
        (_column("× capacity"), lambda one: f"{one.factor:g}"),
        (_column("offered /s"), lambda one: about(one.offered_per_s)),
        (_column("good /s"), lambda one: about(one.goodput_per_s)),
        (_column("kept"), lambda one: _percent(one.kept)),
        (_column("shed"), lambda one: _percent(one.shed_share)),
        (
            _column("by"),
            lambda one: ", ".join(f"{name} {_percent(part)}" for name, part in one.shed_by.items()) or NONE,
        ),
        (_column("other failures"), lambda one: _percent(one.failed_share)),
        (_column("p99 ms accepted"), lambda one: about(one.accepted_p99_ms)),
    )
    text = result.overload.text
    return [doc.Remark(text, on=doc.PAGES), table, doc.Remark(text, on=(doc.DETAILS,))]


def _column(head: str) -> doc.Column:
    """Returns a column whose head stands on two lines on the terminal."""
    kind: Literal["words", "figure"] = "words" if head in {"outcome", "broke", "by"} else "figure"
    return doc.Column(head, kind, heads=dict.fromkeys(doc.TERMINAL, "\n".join(head.rsplit(" ", 1))))


def _course(result: CapacityResult) -> str:
    goodput = f"; goodput there {about(result.goodput_per_s)}/s" if result.goodput_per_s is not None else ""
    busy = f", overloaded {about(result.sustained_per_s)}/s" if goodput and result.sustained_per_s is not None else ""
    return (
        f"{len(result.trials)} trials in {result.took_s:.0f} s of a budget of {result.budget_s:.0f} s, "
        f"limited by: {result.limited_by}{goodput}{busy}."
    )


def _laws(result: CapacityResult) -> list[str]:
    lines = []
    fitted = result.saturation.usl if result.saturation else result.usl
    if fitted is None or fitted.refused:
        lines.append(f"Not fitted: {fitted.refused if fitted else 'nothing was measured'}.")
    else:
        figures = {"σ": fitted.sigma, "κ": fitted.kappa, "λ per s": fitted.lambda_per_s}
        lines += [f"{name} = {_bounded(value)} (95 % interval)" for name, value in figures.items()]
        lines.append(f"largest residual {_percent(max((abs(r) for r in fitted.residuals), default=0.0))}")
        if fitted.peak_refused:
            lines.append(f"No peak is predicted: {fitted.peak_refused}.")
        else:
            lines.append(f"peak at {_bounded(fitted.peak_concurrency)} in flight, {_bounded(fitted.peak_per_s)}/s")
    if result.saturation:
        lines.append(result.saturation.text)
    broken = [check for check in result.little if not check.holds]
    if result.little:
        holds = "holds in all" if not broken else f"fails in {len(broken)} of"
        lines.append(f"Little's law {holds} {len(result.little)} steady trials.")
    return lines


def _bounded(value: Bounded | None) -> str:
    if value is None:
        return NONE
    low, high = (NONE if bound is None else short(bound) for bound in (value.low, value.high))
    return f"{short(value.value)} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _diagrams(trials: Sequence[Trial]) -> list[doc.Diagram]:
    """Draws the trials by their load, each load once: Mermaid spreads points evenly, whatever lies between them."""
    loads: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.rate):
        # What the generator could not make says nothing of the target.
        if trial.verdict != "generator":
            loads.setdefault(about(trial.rate), []).append(trial)
    if len(loads) < _FEWEST_LOADS:
        return []
    names = ", ".join(f'"{name}"' for name in loads)
    axis = f'"load of a trial" [{names}]'

    def lines(pick: Callable[[Iterable[float]], float], **fields: str) -> dict[str, list[float]]:
        tried = loads.values()
        return {
            name: [pick(getattr(one, key) or 0.0 for one in part) for part in tried] for name, key in fields.items()
        }

    return [
        mermaid.draw(
            "Response times in ms by the load of a trial, each load once: the upper line is p99, the lower p50; the "
            "highest where a load was tried again; 0 where none was measured.",
            ("Response time, p50 and p99", "ms", axis),
            lines(max, p50="response_p50_ms", p99="response_p99_ms"),
        ),
        mermaid.draw(
            "Conversations per second by the load of a trial: the upper line is what was achieved, the lower goodput; "
            "the lowest where a load was tried again.",
            ("Achieved and good per second", "per s", axis),
            lines(min, achieved="achieved_per_s", good="goodput_per_s"),
        ),
    ]
