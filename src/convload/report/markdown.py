"""Writes summary.md: the verdict and its figures for a pull request or a job summary."""

import re
from collections.abc import Iterable, Sequence

from convload.comparison.conclusion import Conclusion
from convload.plan.facts import OPEN
from convload.report import differences, figures, mermaid, steadiness
from convload.report.untrusted import brief, visible
from convload.results.summary import Requests, Summary

_SAMPLES = 10
_CLOSED_COLUMNS = tuple(("response", name) for name in ("p50", "p95", "p99", "max"))
_OPEN_COLUMNS = (*_CLOSED_COLUMNS, ("service", "p50"), ("service", "p99"), ("lateness", "p99"))

# What CommonMark or GitHub may read as markup; an underscore inside a word is none.
_ACTIVE = re.compile(r"([\\`*{}\[\]<>#!~&@]|(?<![^\W_])_|_(?![^\W_])|(?<=\w):(?=//))")


def render(conclusion: Conclusion) -> str:
    """Returns the document; foreign text in it is escaped."""
    parts = [
        _head(conclusion),
        _gates(conclusion),
        _charts(conclusion),
        _requests("Steps", "step", conclusion.summary, conclusion.summary.steps),
        _turns(conclusion),
        _stages(conclusion.summary),
        _recoveries(conclusion),
        _drift(conclusion),
        _retries(conclusion.summary),
        _requests("Variants of conversation.create", "variant", conclusion.summary, conclusion.summary.variants),
        _errors(conclusion),
        _counts(conclusion),
        _samples(conclusion),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Escapes text so that it is read as itself."""
    return _ACTIVE.sub(r"\\\1", visible(text))


def code(text: str) -> str:
    """Puts text into a code span that it cannot leave; nothing for no text."""
    if not text:
        return ""
    shown = brief(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    # Spaces keep a backtick at the edge apart from the fence; Markdown takes one off each side again.
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def rows_as_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table of cells that are escaped already."""
    lines = [header, ["---"] * len(header), *rows]
    # A bar ends a cell even inside a code span, unless it is escaped.
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _head(conclusion: Conclusion) -> str:
    summary, verdict = conclusion.summary, conclusion.verdict
    lines = [
        f"# {figures.OUTCOME_WORDS[verdict.outcome]}: convload {plain(summary.plan)}",
        plain(verdict.text),
        f"{plain(figures.setting(summary))}; target {code(summary.target)}, seed {summary.seed}.",
        f"{figures.achieved(summary)}.",
        figures.MODEL_NOTES.get(summary.model, ""),
    ]
    if len(verdict.reasons) > 1:
        lines.append("\n".join(f"- {plain(reason)}" for reason in verdict.reasons))
    return "\n\n".join(lines)


def _requests(title: str, kind: str, summary: Summary, rows: dict[str, Requests]) -> str:
    if not rows:
        return ""
    columns = _columns(summary)
    table = rows_as_table(
        [kind, "count", "failed", *_heads(summary)],
        [
            [
                code(name),
                figures.count(row.count),
                figures.percent(row.count - row.ok, row.count),
                *figures.cells(row, columns),
            ]
            for name, row in rows.items()
        ],
    )
    note = f"Times are of successful requests. {figures.blanks(rows.values(), columns)}".strip()
    return f"## {title}\n\n{note}\n\n{table}"


def _turns(conclusion: Conclusion) -> str:
    turns = conclusion.turns
    if turns is None:
        return ""
    rows = [[one.outcome, code(one.step), *differences.cells(one), plain(one.why)] for one in turns.differences]
    table = rows_as_table(["outcome", "step", "", *figures.TURNS_HEADS, "why"], rows)
    facts = "\n".join(f"- {plain(line)}" for line in figures.turns_facts(turns))
    own = [_requests(f"Target {target}", "step", conclusion.summary, steps) for target, steps in turns.figures.items()]
    return "\n\n".join(["## A against B", f"{plain(turns.text)}.", facts, table, *own])


def _stages(summary: Summary) -> str:
    if not summary.stages:
        return ""
    table = rows_as_table(
        ["stage", "planned /s", "offered /s", "sent /s", "count", "failed", *_heads(summary)],
        [
            [
                code(name),
                figures.rates(stage),
                figures.rate(stage.offered_rate),
                figures.rate(stage.achieved_rate),
                figures.count(stage.count),
                figures.percent(stage.count - stage.ok, stage.count),
                *figures.cells(stage, _columns(summary)),
            ]
            for name, stage in summary.stages.items()
        ],
    )
    note = (
        f"Create requests by the stage they were due in. {figures.blanks(summary.stages.values(), _columns(summary))}"
    )
    return f"## Stages\n\n{note.strip()}\n\n{table}"


def _recoveries(conclusion: Conclusion) -> str:
    rows = [[plain(word) for word in row] for row in steadiness.recovery_rows(conclusion)]
    return (
        f"## Recovery\n\n{steadiness.RECOVERY_NOTE}\n\n{rows_as_table(steadiness.RECOVERY_HEADS, rows)}" if rows else ""
    )


def _drift(conclusion: Conclusion) -> str:
    rows = [[plain(word) for word in row] for row in steadiness.drift_rows(conclusion)]
    text = plain(steadiness.drift_text(conclusion))
    if not (rows or text):
        return ""
    table = f"{steadiness.DRIFT_NOTE}\n\n{rows_as_table(steadiness.DRIFT_HEADS, rows)}" if rows else ""
    return "\n\n".join(part for part in ("## Drift", table, text) if part)


def _retries(summary: Summary) -> str:
    rows = [[name, plain(value)] for name, value in figures.retry_facts(summary).items()]
    return f"## Retries\n\n{figures.RETRY_NOTE}\n\n{rows_as_table(['', 'measured'], rows)}" if rows else ""


def _columns(summary: Summary) -> tuple[figures.TimeColumn, ...]:
    return _OPEN_COLUMNS if summary.model == OPEN else _CLOSED_COLUMNS


def _heads(summary: Summary) -> list[str]:
    if summary.model == OPEN:
        return [f"{clock} {name} ms" for clock, name in _OPEN_COLUMNS]
    return [f"{name} ms" for _, name in _CLOSED_COLUMNS]


def _errors(conclusion: Conclusion) -> str:
    kinds = [
        [code(step), code(kind), figures.count(count)]
        for step, row in conclusion.summary.steps.items()
        for kind, count in row.errors.items()
    ]
    return f"## Errors\n\n{rows_as_table(['step', 'kind', 'count'], kinds)}" if kinds else ""


def _gates(conclusion: Conclusion) -> str:
    rows = [
        [
            code(gate.gate) + (" (built in)" if gate.builtin else ""),
            gate.outcome,
            plain(figures.gate_value(gate)),
            plain(figures.gate_interval(gate)),
            plain(figures.gate_limit(gate)),
        ]
        for gate in conclusion.gates
    ]
    table = rows_as_table(["gate", "outcome", "value", figures.bounds_head(conclusion.gates), "limit"], rows)
    validity = "The run supports a verdict." if conclusion.validity.valid else "The run supports no verdict."
    asides = "\n".join(f"- {plain(text)}" for text in figures.asides(conclusion))
    stopped = plain(figures.aborted(conclusion))
    return "\n\n".join(part for part in ("## Gates", stopped, validity, asides, table) if part)


def _charts(conclusion: Conclusion) -> str:
    charts = mermaid.charts(conclusion.series)
    if not charts:
        return ""
    return "\n\n".join(["## Second by second", *mermaid.blocks(charts)])


def _counts(conclusion: Conclusion) -> str:
    chain = ", ".join(f"{count} {name}" for name, count in figures.reconciliation(conclusion.summary))
    generator = ", ".join(f"{name} {value}" for name, value in figures.generator_facts(conclusion.summary).items())
    return f"## Counts\n\nCreate requests of the whole run, warm-up included: {chain}.\n\nGenerator: {generator}."


def _samples(conclusion: Conclusion) -> str:
    shown = conclusion.samples[:_SAMPLES]
    if not shown:
        return ""
    rows = [
        [f"{sample.t_s:.1f}", code(sample.outcome), code(sample.variant or sample.step), code(sample.detail)]
        for sample in shown
    ]
    title = f"## Samples of failed requests ({len(shown)} of {len(conclusion.samples)} in errors.jsonl)"
    return f"{title}\n\n{rows_as_table(['at s', 'kind', 'variant', 'detail'], rows)}"
