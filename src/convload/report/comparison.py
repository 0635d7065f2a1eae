"""The contents of a comparison: what is different between two sides."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from convload.comparison.compare import BETWEEN, Comparison
from convload.comparison.outcomes import IMPROVED, REGRESSED, UNKNOWN, Difference
from convload.comparison.sides import RunFacts, Steps
from convload.report import comparison_charts, figures, github, html, markdown, tables
from convload.report import document as doc

_ANNOTATIONS = {REGRESSED: "error", UNKNOWN: "warning"}


def document(comparison: Comparison) -> doc.Document:
    """Returns the report."""
    same = f"THE SAME WITHIN {100 * comparison.minimum.relative:g} %"
    word = same if comparison.outcome == "same" else comparison.outcome.upper()
    forced = doc.Bullets([doc.Mark(line, "warning") for line in warnings(comparison)])
    head = doc.Section("", [doc.Bullets([*_sides(comparison), _rule(comparison)]), forced])
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


def in_a_comment(comparison: Comparison, said: Collection[str]) -> doc.Section:
    """Returns what a pull request is told of a comparison, below the gates of the new run and what was `said` there."""
    told = [one for one in comparison.differences if one.outcome != UNKNOWN]
    table = tables.differences(told, ("base", "new"), _interval_head(comparison), by_step=True)
    forced = [line for line in warnings(comparison) if not any(line.endswith(f": {text}") for text in said)]
    return doc.Section(
        "Against the base, beyond noise",
        [
            doc.Remark(doc.Mark(comparison.text, "warning")),
            doc.Bullets([doc.Mark(line, "warning") for line in forced]),
            *([table] if told else []),
            doc.Bullets([*_untold(comparison), _sides(comparison)[0], _rule(comparison), *comparison.notes]),
        ],
    )


def _untold(comparison: Comparison) -> list[str]:
    """Returns of what nothing can be told, step by step."""
    found: dict[str, list[str]] = {}
    for one in comparison.differences:
        if one.outcome == UNKNOWN:
            found.setdefault(doc.brief(one.step), []).append(one.statistic)
    said = "; ".join(f"{step} {', '.join(names)}" for step, names in found.items())
    return [f"{UNKNOWN.capitalize()}: {said}"] if said else []


def page(comparison: Comparison, base: Sequence[Steps], new: Sequence[Steps]) -> str:
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
    """Says what was compared by force, and what the reports of the runs warn of."""
    runs = [*comparison.base, *comparison.new]
    told = dict.fromkeys(text for run in runs for text in run.warnings)
    return [
        *(f"Compared by force, unlike the base: {one}" for one in comparison.unlike),
        *(f"Compared by force: {run.folder}: {reason}" for run in runs for reason in run.unsound),
        *(f"{_whose(text, runs)}: {text}" for text in told),
    ]


def _whose(text: str, runs: list[RunFacts]) -> str:
    of = [run.folder for run in runs if text in run.warnings]
    more = f" and {len(of) - 1} more" if len(of) > 1 else ""
    return f"Warning of all {len(runs)} runs" if len(of) == len(runs) else f"Warning of {of[0]}{more}"


def _named(comparison: Comparison, outcome: str) -> str:
    found = [one for one in comparison.differences if one.outcome == outcome]
    return ", ".join(f"{doc.visible(one.step)} {one.statistic}" for one in found)


def _step(comparison: Comparison, step: str) -> doc.Section:
    found = [one for one in comparison.differences if one.step == step]
    table = tables.differences(found, ("base", "new"), _interval_head(comparison))
    drawn = doc.Charts(comparison_charts.charts(step, comparison.clock))
    return doc.Section(
        doc.Code(step), [table, drawn, doc.Bullets(list(_reasons(found)), on=doc.TERMINAL, tone="muted")]
    )


def _interval_head(comparison: Comparison) -> str:
    # That of repeated runs is each statistic's own; their alarm is the test's.
    return "interval" if comparison.method == BETWEEN else f"{100 * comparison.confidence:g} % interval"


def _rule(comparison: Comparison) -> str:
    rule = figures.rule_of_difference(comparison.minimum, comparison.confidence)
    return f"{rule}; {comparison.clock} times of successful requests"


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
