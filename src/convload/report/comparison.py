"""The contents of a comparison: what is different between two sides."""

from collections.abc import Iterator, Sequence

import msgspec

from convload.comparison.compare import BETWEEN, Comparison, RunFacts
from convload.comparison.outcomes import IMPROVED, REGRESSED, UNKNOWN, Difference
from convload.report import comparison_charts, figures, github, html, markdown, tables
from convload.report import document as doc
from convload.results.run import Run

_ANNOTATIONS = {REGRESSED: "error", UNKNOWN: "warning"}


def document(comparison: Comparison) -> doc.Document:
    """Returns the report."""
    same = f"THE SAME WITHIN {100 * comparison.minimum.relative:g} %"
    word = same if comparison.outcome == "same" else comparison.outcome.upper()
    rule = figures.rule_of_difference(comparison.minimum, comparison.confidence)
    rule += f"; {comparison.clock} times of successful requests"
    forced = doc.Bullets([doc.Mark(line, "warning") for line in warnings(comparison)])
    head = doc.Section("", [doc.Bullets([*_sides(comparison), rule]), forced])
    notes = doc.Section("", [doc.Bullets(comparison.notes, tone="muted")])
    steps = dict.fromkeys(one.step for one in comparison.differences)
    return doc.Document(
        kind="comparison",
        title=f"{word}: convload compare",
        heading="Comparison",
        statement=comparison.text,
        tone=tables.TONES.get(comparison.outcome, "strong"),
        sections=[head, *(_step(comparison, step) for step in steps), notes],
    )


def page(comparison: Comparison, base: Sequence[Run], new: Sequence[Run]) -> str:
    """Returns the page of a comparison, with how the times of both sides were distributed."""
    data = comparison_charts.columns({"base": base, "new": new}, comparison.clock)
    return html.render(msgspec.structs.replace(document(comparison), data=data))


def github_report(comparison: Comparison) -> github.StepReport:
    """Returns what GitHub shows: the sentence as an error, a warning or a notice, and what was compared by force."""
    forced = [("compare", line) for line in warnings(comparison)]
    return github.StepReport(
        annotations=[
            *github.commands(_ANNOTATIONS.get(comparison.outcome, "notice"), [("compare", comparison.text)]),
            # One less than GitHub shows, as the sentence may be a warning too.
            *github.commands("warning", forced, most=github.MOST_OF_A_KIND - 1),
        ],
        summary=markdown.render(document(comparison)),
        outputs={
            "outcome": comparison.outcome,
            "exit_code": str(int(comparison.exit_code)),
            "text": doc.visible(comparison.text),
            **{outcome: _named(comparison, outcome) for outcome in (REGRESSED, IMPROVED)},
        },
        whole="the file of --markdown",
    )


def warnings(comparison: Comparison) -> list[str]:
    """Says what was compared by force."""
    runs = [*comparison.base, *comparison.new]
    return [
        *(f"Compared by force, unlike the base: {one}" for one in comparison.unlike),
        *(f"Compared by force: {run.folder}: {reason}" for run in runs for reason in run.unsound),
    ]


def _named(comparison: Comparison, outcome: str) -> str:
    found = [one for one in comparison.differences if one.outcome == outcome]
    return ", ".join(f"{doc.visible(one.step)} {one.statistic}" for one in found)


def _step(comparison: Comparison, step: str) -> doc.Section:
    found = [one for one in comparison.differences if one.step == step]
    # The interval of repeated runs is each statistic's own; their alarm is the test's.
    of = "" if comparison.method == BETWEEN else f"{100 * comparison.confidence:g} % "
    table = tables.differences(found, ("base", "new"), f"{of}interval")
    drawn = doc.Charts(comparison_charts.charts(step, comparison.clock))
    return doc.Section(
        doc.Code(step), [table, drawn, doc.Bullets(list(_reasons(found)), on=doc.TERMINAL, tone="muted")]
    )


def _reasons(found: list[Difference]) -> Iterator[str]:
    for why in dict.fromkeys(one.why for one in found if one.why):
        names = ", ".join(one.statistic for one in found if one.why == why)
        yield f"{UNKNOWN.capitalize()}, {names}: {why}"


def _sides(comparison: Comparison) -> list[str]:
    return [f"{name}: {_side(runs)}" for name, runs in (("Base", comparison.base), ("New", comparison.new))]


def _side(runs: list[RunFacts]) -> str:
    seeds = sorted({run.seed for run in runs})
    first = runs[0]
    facts = f"plan {first.plan}, {first.duration_s:g} s, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    if len(runs) == 1:
        return f"{first.folder} ({first.started}, {facts}, {first.requests:,} requests)"
    return f"{len(runs)} runs ({facts}): {', '.join(run.folder for run in runs)}"
