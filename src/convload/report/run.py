"""The contents of a run's report: verdict, gates, charts, figures, and what they were measured with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.report import answer, charts, failures, figures, html, markdown, mermaid, steadiness, tables, terminal
from convload.report.document import (
    BRIEF,
    DETAILS,
    HTML,
    IN_FULL,
    MARKDOWN,
    PAGES,
    TERMINAL,
    Block,
    Bullets,
    Charts,
    Code,
    Document,
    Facts,
    Note,
    Section,
    Words,
    brief,
)
from convload.results.summary import Summary

_CLAUSE = "(times in ms, of successful requests)"


def document(conclusion: Conclusion, folder: Path | None = None) -> Document:
    """Returns the report; `folder` is where it is kept, for the terminal."""
    summary, verdict = conclusion.summary, conclusion.verdict
    word = figures.OUTCOME_WORDS[verdict.outcome]
    return Document(
        kind="run report",
        title=f"{word}: convload {summary.plan}",
        heading=summary.plan,
        subtitle=[
            figures.setting(summary),
            ("Target ", Code(summary.target), f", started {summary.started}, seed {summary.seed}"),
        ],
        word=word,
        tone=verdict.outcome,
        statement=verdict.text,
        sections=[*_answer(conclusion), *_figures(conclusion), *_record(conclusion, folder)],
        footer="Rendered from run.jsonl by convload. Times are counted in histograms with an error of at most 0.05 %; "
        "percentiles are nearest rank, never averaged.",
        data=charts.data(conclusion),
    )


def render_markdown(conclusion: Conclusion) -> str:
    """Returns summary.md."""
    return markdown.render(document(conclusion))


def render_html(conclusion: Conclusion) -> str:
    """Returns report.html."""
    return html.render(document(conclusion))


def print_run(conclusion: Conclusion, console: Console, folder: Path | None = None, *, details: bool = True) -> None:
    """Prints the end of a run; `folder` is where the reports are, if they were written."""
    terminal.show(document(conclusion, folder), console, DETAILS if details else BRIEF)


def print_judgement(conclusion: Conclusion, console: Console, *, details: bool = True) -> None:
    """Prints the gates of a run with what each found, and the verdict."""
    terminal.show(_judgement(conclusion), console, DETAILS if details else BRIEF, opens=False)


def _judgement(conclusion: Conclusion) -> Document:
    """Returns what `convload gate` shows: the gates with what each found."""
    messages = [gate.message for gate in conclusion.gates]
    lines = [*filter(None, [figures.aborted(conclusion)]), *answer.invalid(conclusion), *figures.asides(conclusion)]
    return Document(
        kind="judgement",
        title="",
        heading="",
        tone=conclusion.verdict.outcome,
        statement=conclusion.verdict.text,
        sections=[
            Section(title="Gates", blocks=[answer.gates_table(conclusion)], on=TERMINAL),
            *_turns(conclusion)[:1],
            Section(title="", blocks=[Bullets(messages, on=(DETAILS,)), Bullets(lines)], on=TERMINAL),
        ],
    )


def _answer(conclusion: Conclusion) -> list[Section]:
    """Returns what the verdict rests on."""
    return [
        _head(conclusion),
        Section(title="Stopped early", blocks=[Note(figures.aborted(conclusion))], on=(HTML,)),
        answer.key_figures(conclusion),
        answer.gates(conclusion),
        answer.validity(conclusion),
        _charts(conclusion),
    ]


def _figures(conclusion: Conclusion) -> list[Section]:
    """Returns what was measured."""
    summary = conclusion.summary
    variants = "Variants of conversation.create"
    steps = tables.requests("step", summary.steps, summary.model)
    return [
        Section(
            title="Steps",
            blocks=[*steps, *([] if steps else [Note("Nothing was measured.", on=(HTML,), tone="muted")])],
            on=(BRIEF, *IN_FULL),
            terminal=f"Steps {_CLAUSE}",
        ),
        *_turns(conclusion),
        _stages(summary),
        *steadiness.sections(conclusion),
        Section(title="Retries", blocks=_retries(summary)),
        Section(
            title=variants,
            blocks=tables.requests("variant", summary.variants, summary.model),
            terminal=f"{variants} {_CLAUSE}",
        ),
        failures.errors(conclusion),
    ]


def _record(conclusion: Conclusion, folder: Path | None) -> list[Section]:
    """Returns how it was measured, and whether the record adds up."""
    summary, manifest = conclusion.summary, conclusion.manifest
    chain = ", ".join(f"{count} {name}" for name, count in figures.reconciliation(summary))
    report = f"Report: {folder / 'report.html'}" if folder else ""
    generator = figures.generator_facts(summary)
    named = ("busiest worker", "memory", "lateness p99", "event loop late by", "ceiling")
    shown, all_facts = (
        ", ".join(f"{name} {generator[name]}" for name in names if name in generator) for names in (named, generator)
    )
    return [
        Section(title="Gates", blocks=[answer.gates_table(conclusion)], on=(DETAILS,)),
        Section(
            title="",
            blocks=[
                Bullets([*filter(None, [figures.aborted(conclusion)]), *answer.invalid(conclusion)]),
                Bullets(figures.asides(conclusion)),
                Bullets(failures.lines(conclusion), on=(BRIEF,)),
                Bullets([f"Create requests of the whole run: {chain}", f"Generator: {shown}"], on=(DETAILS,)),
                Bullets([f"Note: {note}" for note in summary.notes], on=(DETAILS,)),
                Note(report, on=(DETAILS,)),
                Note(f"{report}, all of it here with --details" if report else "", on=(BRIEF,)),
            ],
            on=TERMINAL,
        ),
        Section(
            title="Counts",
            blocks=[
                Note(f"Create requests of the whole run, warm-up included: {chain}."),
                Note(_with_code(f"Generator: {all_facts}.")),
            ],
            on=(MARKDOWN,),
        ),
        failures.samples(conclusion),
        Section(title="Notes", blocks=[Bullets(summary.notes)], on=(HTML,)),
        Section(
            title="Plan and machine",
            blocks=[
                Facts(
                    {
                        "Plan": _as_text(manifest.plan),
                        "Load generator": generator,
                        "Machine": _as_text(manifest.machine),
                        "Versions": _as_text(manifest.versions),
                    }
                ),
            ],
            on=(HTML,),
        ),
    ]


def _head(conclusion: Conclusion) -> Section:
    summary = conclusion.summary
    setting, achieved = figures.setting(summary), figures.achieved(summary)
    reasons = conclusion.verdict.reasons
    return Section(
        title="",
        blocks=[
            Bullets([setting, f"Target {summary.target}, seed {summary.seed}", achieved], on=(DETAILS,)),
            Note((f"{setting}; target ", Code(summary.target), f", seed {summary.seed}."), on=(MARKDOWN,)),
            Note(f"{achieved}.", on=(MARKDOWN,)),
            Note(figures.MODEL_NOTES.get(summary.model, ""), tone="muted"),
            Bullets(reasons if len(reasons) > 1 else [], on=(MARKDOWN,)),
        ],
        on=(DETAILS, MARKDOWN),
    )


def _charts(conclusion: Conclusion) -> Section:
    return Section(
        title="Second by second",
        blocks=[
            *mermaid.charts(conclusion.series),
            Charts(charts.of_run(conclusion)),
            Note(charts.NOTE, on=(HTML,), tone="muted"),
        ],
        on=PAGES,
        form="plain",
    )


def _turns(conclusion: Conclusion) -> list[Section]:
    turns = conclusion.turns
    if turns is None:
        return []
    model = conclusion.summary.model
    both = {f"{target} {step}": row for target, steps in turns.figures.items() for step, row in steps.items()}
    facts, undecided = figures.turns_facts(turns), figures.turns_undecided(turns)
    return [
        Section(
            title="A against B",
            blocks=[
                Note(f"{turns.text}.", on=PAGES),
                Bullets(facts, on=(MARKDOWN,)),
                tables.differences(turns.differences, ("A", "B"), "interval", by_step=True),
                Bullets([*facts, *undecided], on=(DETAILS,), tone="muted"),
                *(Note(f"{text}.", on=(HTML,), tone="muted") for text in [*facts, *undecided]),
                charts.of_turns(conclusion),
            ],
            on=(BRIEF, *IN_FULL),
        ),
        Section(
            title="",
            terminal=f"Steps of each target {_CLAUSE}",
            blocks=tables.requests("step", both, model),
            on=(DETAILS,),
        ),
        *(
            Section(
                title=f"Target {target}",
                blocks=[Note(Code(turns.targets[target]), on=(HTML,)), *tables.requests("step", steps, model)],
                on=PAGES,
            )
            for target, steps in turns.figures.items()
        ),
    ]


def _stages(summary: Summary) -> Section:
    # One stage is the whole run, which stands above.
    on = IN_FULL if len(summary.stages) > 1 else PAGES
    return Section(
        title="Stages",
        blocks=tables.stages(summary.stages, summary.model),
        on=on,
        terminal="Stages, conversation.create (times in ms)",
    )


def _retries(summary: Summary) -> list[Block]:
    facts = figures.retry_facts(summary)
    if not facts:
        return []
    note = figures.RETRY_NOTE
    return [
        Note(note, on=(MARKDOWN,)),
        Facts({"": facts}),
        Note(note, on=(*TERMINAL, HTML), tone="muted"),
    ]


def _with_code(text: str) -> Words:
    """Reads text of ours in which backticks stand around what is to be typed."""
    return [Code(part) if at % 2 else part for at, part in enumerate(text.split("`"))]


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: brief(value if isinstance(value, str) else json.dumps(value)) for key, value in values.items()}
