"""Shows what is different between two sides: on the terminal, as Markdown and as JSON."""

import json

import msgspec
from rich.console import Console
from rich.text import Text

from convload.comparison.compare import BETWEEN, Comparison, RunFacts
from convload.comparison.outcomes import IMPROVED, REGRESSED, UNKNOWN, Difference
from convload.report import differences, github
from convload.report.markdown import code, plain, rows_as_table
from convload.report.text import figures_table
from convload.report.untrusted import brief, visible

_STYLES = differences.STYLES | {"same": "bold"}
_ANNOTATIONS = {REGRESSED: "error", UNKNOWN: "warning"}


def render_json(comparison: Comparison) -> str:
    """Returns the whole document, format convload/comparison/1, indented, in ASCII."""
    return json.dumps(msgspec.to_builtins(comparison), indent=2) + "\n"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Prints the comparison, its sentence first and last; foreign text is shown as it is."""
    _print_sentence(comparison, console)
    for line in [*_sides(comparison), rule(comparison)]:
        console.print(Text(visible(line)))
    for line in warnings(comparison):
        console.print(Text(visible(line), style="yellow"))
    for step in _steps(comparison):
        _print_step(comparison, step, console)
    console.print()
    for note in comparison.notes:
        console.print(Text(visible(note), style="dim"))
    _print_sentence(comparison, console)


def render_markdown(comparison: Comparison) -> str:
    """Returns the comparison for a pull request or a job summary; foreign text in it is escaped."""
    parts = [
        f"# {comparison.outcome.upper()}: convload compare"
        if comparison.outcome != "same"
        else "# NO DIFFERENCE: convload compare",
        plain(comparison.text),
        "\n".join(f"- {plain(line)}" for line in [*_sides(comparison), rule(comparison)]),
        "\n".join(f"- **{plain(line)}**" for line in warnings(comparison)),
    ]
    for step in _steps(comparison):
        rows = [[one.outcome, *differences.cells(one), one.why] for one in _of(comparison, step)]
        parts.append(f"## {code(step)}\n\n{rows_as_table(_heads(comparison, 'outcome', 'why'), rows)}")
    parts.append("\n".join(f"- {plain(note)}" for note in comparison.notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def told_github(comparison: Comparison) -> github.Told:
    """Returns what GitHub is told: the sentence as an error, a warning or a notice, and what was compared by force."""
    forced = [("compare", line) for line in warnings(comparison)]
    return github.Told(
        annotations=[
            *github.commands(_ANNOTATIONS.get(comparison.outcome, "notice"), [("compare", comparison.text)]),
            # One less than GitHub shows, as the sentence may be a warning too.
            *github.commands("warning", forced, most=github.MOST_OF_A_KIND - 1),
        ],
        summary=render_markdown(comparison),
        outputs={
            "outcome": comparison.outcome,
            "exit_code": str(int(comparison.exit_code)),
            "text": visible(comparison.text),
            **{outcome: _named(comparison, outcome) for outcome in (REGRESSED, IMPROVED)},
        },
        whole="the file of --markdown",
    )


def rule(comparison: Comparison) -> str:
    """Says what counts as a difference."""
    least = comparison.minimum
    return (
        f"A difference counts from {100 * least.relative:g} % and {least.absolute_ms:g} ms "
        f"({least.errors_points:g} percentage points of errors) on, at {100 * comparison.confidence:g} % confidence "
        f"of all statistics together; {comparison.clock} times of successful requests"
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
    return ", ".join(f"{visible(one.step)} {one.statistic}" for one in found)


def _print_sentence(comparison: Comparison, console: Console) -> None:
    console.print(Text(visible(comparison.text), style=_STYLES[comparison.outcome]), soft_wrap=True)


def _print_step(comparison: Comparison, step: str, console: Console) -> None:
    shown = figures_table("", _heads(comparison, "outcome"), left=("", "outcome"))
    shown.title = Text(f"\n{brief(step)}")
    for one in _of(comparison, step):
        shown.add_row(*differences.cells(one), Text(one.outcome, style=_STYLES[one.outcome]))
    console.print(shown)
    reasons: dict[str, list[str]] = {}
    for one in _of(comparison, step):
        if one.why:
            reasons.setdefault(one.why, []).append(differences.name(one))
    for why, names in reasons.items():
        console.print(Text(visible(f"{UNKNOWN.capitalize()}, {', '.join(names)}: {why}"), style="dim"))


def _heads(comparison: Comparison, *words: str) -> list[str]:
    """The interval of repeated runs is each statistic's own; their alarm is the test's."""
    of = "" if comparison.method == BETWEEN else f"{100 * comparison.confidence:g} % "
    heads = ["", "base", "new", "difference", "relative", f"{of}interval"]
    return [*words[:1], *heads, *words[1:]] if len(words) > 1 else [*heads, *words]


def _sides(comparison: Comparison) -> list[str]:
    return [f"{name}: {_side(runs)}" for name, runs in (("Base", comparison.base), ("New", comparison.new))]


def _side(runs: list[RunFacts]) -> str:
    seeds = sorted({run.seed for run in runs})
    first = runs[0]
    facts = f"plan {first.plan}, {first.duration_s:g} s, seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    if len(runs) == 1:
        return f"{first.folder} ({first.started}, {facts}, {first.requests:,} requests)"
    return f"{len(runs)} runs ({facts}): {', '.join(run.folder for run in runs)}"


def _steps(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(one.step for one in comparison.differences))


def _of(comparison: Comparison, step: str) -> list[Difference]:
    return [one for one in comparison.differences if one.step == step]
