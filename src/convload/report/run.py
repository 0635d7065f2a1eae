"""The contents of a run's report: verdict, gates, charts, figures, and what they were measured with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.judging.gate_result import FAIL, PASS
from convload.report import (
    answer,
    charts,
    course_data,
    failures,
    figures,
    html,
    markdown,
    mermaid,
    steadiness,
    tables,
    terminal,
    two_targets,
    whereabouts,
)
from convload.report import document as doc
from convload.report.whereabouts import Where
from convload.results.summary import Summary

_CLAUSE = "(times in ms, of successful requests)"


def document(conclusion: Conclusion, folder: Path | None = None) -> doc.Document:
    """Returns the report; `folder` is where it is kept, for the terminal."""
    summary, verdict = conclusion.summary, conclusion.verdict
    target = ("Target ", doc.Code(summary.target), f", started {summary.started}, seed {summary.seed}")
    places = whereabouts.of_gates(conclusion.run, conclusion.gates)
    word = verdict.outcome.upper()
    return doc.Document(
        kind="run report",
        title=f"{word}: convload {summary.plan}",
        heading=summary.plan,
        subtitle=[figures.setting(summary), target, *_origin(conclusion)],
        word=word,
        tone=verdict.outcome,
        statement=verdict.text,
        sections=[*_answer(conclusion, places), *_figures(conclusion), *_record(conclusion, folder)],
        footer="Rendered from run.jsonl by convload. Times are counted in histograms with an error of at most 0.05 %; "
        "percentiles are nearest rank, never averaged.",
    )


def render_markdown(conclusion: Conclusion) -> str:
    """Returns summary.md."""
    return markdown.render(document(conclusion))


def render_html(conclusion: Conclusion, other: Conclusion | None = None, name: str = "") -> str:
    """Returns report.html; the charts of another run lie over its own under that name, else its baseline does."""
    over = None if other is None else charts.data(other.run) | {"name": doc.brief(name)}
    if over is None and conclusion.baseline:
        name = "baseline (another kind of machine)" if conclusion.baseline.is_by_ratio else "baseline"
        over = course_data.of_totals(conclusion.baseline.totals()) | {"name": name}
    data = course_data.packed(_data(conclusion)) | ({"other": course_data.packed(over)} if over else {})
    return html.render(msgspec.structs.replace(document(conclusion), data=data))


def print_run(conclusion: Conclusion, console: Console, folder: Path | None = None, *, details: bool = True) -> None:
    """Prints the end of a run; `folder` is where the reports are, if they were written."""
    terminal.show(document(conclusion, folder), console, doc.DETAILS if details else doc.BRIEF, opens=details)


def print_judgement(conclusion: Conclusion, console: Console, *, details: bool = True) -> None:
    """Prints the gates of a run with what each found, and the verdict."""
    terminal.show(_judgement(conclusion), console, doc.DETAILS if details else doc.BRIEF, opens=False)


def _judgement(conclusion: Conclusion) -> doc.Document:
    undecided = [gate.message for gate in conclusion.gates if gate.outcome != PASS]
    said: list[doc.Block] = [
        doc.Bullets([gate.message for gate in conclusion.gates], on=(doc.DETAILS,)),
        doc.Bullets(undecided, on=(doc.BRIEF,)),
        doc.Bullets(answer.doubts(conclusion)),
    ]
    return doc.Document(
        kind="judgement",
        title="",
        heading="",
        tone=conclusion.verdict.outcome,
        statement=conclusion.verdict.text,
        sections=[
            doc.Section("Gates", [answer.gates_table(conclusion)], on=doc.TERMINAL),
            *_turns(conclusion)[:1],
            doc.Section("", said, on=doc.TERMINAL),
        ],
    )


def _data(conclusion: Conclusion) -> dict[str, Any]:
    """Returns the columns of the charts, and what of the gates is marked in them."""
    turns, data = conclusion.target_comparison, charts.data(conclusion.run)
    data["marks"]["shades"] += [
        {"from_s": from_s, "to_s": to_s, "tone": "fail" if one.gate.outcome == FAIL else "warn", "gate": one.gate.gate}
        for one in whereabouts.of_gates(conclusion.run, conclusion.gates)
        for from_s, to_s in one.stretches
    ]
    return data | {"shapes": data["shapes"] | (two_targets.turns(turns.compared)[1] if turns else {})}


def _origin(conclusion: Conclusion) -> list[doc.Words]:
    """Returns what was run, as far as a pipeline or a person has said it."""
    origin, tags = conclusion.manifest.origin, conclusion.manifest.plan.get("tags", [])
    parts: list[doc.Part] = [
        part for name in ("commit", "branch") if name in origin for part in (f"{name} ", doc.Code(origin[name]), ", ")
    ]
    parts += [doc.Link("build", origin["build"]), ", "] if "build" in origin else []
    lines: list[doc.Words] = [["Of ", *parts[:-1]]] if parts else []
    return [*lines, [part for tag in tags for part in (doc.Mark(str(tag), "tag"), " ")]] if tags else lines


def _answer(conclusion: Conclusion, places: list[Where]) -> list[doc.Section]:
    return [
        _head(conclusion),
        doc.Section("Stopped early", [doc.Remark(figures.aborted(conclusion))], on=(doc.HTML,)),
        # What a run at two targets is asked first stands first; the figures of both together say nothing.
        *_on_page(_turns(conclusion)),
        *([] if conclusion.target_comparison else [answer.key_figures(conclusion)]),
        answer.gates(conclusion, places),
        answer.validity(conclusion),
        _charts(conclusion),
    ]


def _figures(conclusion: Conclusion) -> list[doc.Section]:
    summary = conclusion.summary
    variants = "Variants of conversation.create"
    nothing = doc.Remark("Nothing was measured.", on=(doc.HTML,), tone="muted")
    steps = tables.requests("step", summary.steps, summary.model) or [nothing]
    of_variants = tables.requests("variant", summary.variants, summary.model)
    return [
        doc.Section("Steps", steps, on=(doc.BRIEF, *doc.IN_FULL), terminal=f"Steps {_CLAUSE}"),
        *_off_page(_turns(conclusion)),
        _stages(summary),
        *steadiness.sections(conclusion),
        doc.Section("Retries", _retries(summary)),
        doc.Section(variants, of_variants, terminal=f"{variants} {_CLAUSE}"),
        failures.errors(conclusion),
        failures.slowest(conclusion),
    ]


def _record(conclusion: Conclusion, folder: Path | None) -> list[doc.Section]:
    summary, manifest = conclusion.summary, conclusion.manifest
    chain = ", ".join(f"{count} {name}" for name, count in figures.reconciliation(summary))
    counts = f"Create requests of the whole run, warm-up included: {chain}."
    report = f"Report: {folder / 'report.html'}" if folder else ""
    generator, reasons = figures.generator_facts(summary), conclusion.verdict.reasons
    named = ("busiest worker", "memory", "lateness p99", "event loop late by", "ceiling")
    shown, all_facts = (
        ", ".join(f"{name} {generator[name]}" for name in names if name in generator) for names in (named, generator)
    )
    facts = {
        "Plan": _as_text(manifest.plan),
        "Load generator": generator,
        "Machine": _as_text(manifest.machine),
        "Versions": _as_text(manifest.versions),
    }
    on_terminal: list[doc.Block] = [
        doc.Bullets(reasons if len(reasons) > 1 else [], on=(doc.BRIEF,)),
        doc.Bullets(failures.lines(conclusion), on=(doc.BRIEF,)),
        doc.Bullets([*answer.doubts(conclusion), f"Create requests of the whole run: {chain}"], on=(doc.DETAILS,)),
        doc.Bullets([f"Generator: {shown}"], on=(doc.DETAILS,)),
        doc.Bullets([f"Note: {note}" for note in summary.notes]),
        doc.Remark(report, on=(doc.DETAILS,)),
        doc.Remark(f"{report} (here with --details)" if report else "", on=(doc.BRIEF,)),
    ]
    counted = [doc.Remark(counts), doc.Remark(_with_code(f"Generator: {all_facts}."))]
    return [
        doc.Section("Gates", [answer.gates_table(conclusion)], on=(doc.DETAILS,)),
        doc.Section("", on_terminal, on=doc.TERMINAL),
        doc.Section("Counts", counted, on=(doc.MARKDOWN,)),
        failures.samples(conclusion),
        doc.Section("Notes", [doc.Bullets(summary.notes)], on=(doc.HTML,)),
        doc.Section("Notes", [doc.Bullets(conclusion.manifest.notes)], on=(doc.MARKDOWN,)),
        doc.Section("Plan and machine", [doc.Facts(facts)], on=(doc.HTML,)),
    ]


def _head(conclusion: Conclusion) -> doc.Section:
    summary = conclusion.summary
    setting, achieved = figures.setting(summary), figures.achieved(summary)
    reasons = conclusion.verdict.reasons
    head = (f"{setting}; target ", doc.Code(summary.target), f", seed {summary.seed}.")
    blocks: list[doc.Block] = [
        doc.Bullets([setting, f"Target {summary.target}, seed {summary.seed}", achieved], on=(doc.DETAILS,)),
        doc.Remark(head, on=(doc.MARKDOWN,)),
        doc.Remark(f"{achieved}.", on=(doc.MARKDOWN,)),
        doc.Remark(figures.MODEL_NOTES.get(summary.model, ""), tone="muted"),
        doc.Bullets(reasons if len(reasons) > 1 else [], on=(doc.MARKDOWN,)),
    ]
    return doc.Section("", blocks, on=(doc.DETAILS, doc.MARKDOWN))


def _charts(conclusion: Conclusion) -> doc.Section:
    note = doc.Remark(charts.NOTE, on=(doc.HTML,), tone="muted")
    drawn = doc.Charts(charts.of_run(conclusion.run, conclusion.gates), has_views=True)
    return doc.Section(
        "Second by second", [*mermaid.charts(conclusion.series), drawn, note], on=doc.PAGES, form="plain"
    )


def _turns(conclusion: Conclusion) -> list[doc.Section]:
    turns = conclusion.target_comparison
    if turns is None:
        return []
    model = conclusion.summary.model
    both = {f"{target} {step}": row for target, steps in turns.figures.items() for step, row in steps.items()}
    of_both = tables.requests("step", both, model)
    facts = figures.turns_facts(turns)
    notes = [*facts, *figures.turns_undecided(turns)]
    against: list[doc.Block] = [
        doc.Remark(f"{turns.text}.", on=doc.PAGES),
        answer.tiles_of_targets(turns),
        doc.Bullets(facts, on=(doc.MARKDOWN,)),
        tables.differences(turns.differences, ("A", "B"), "interval", by_step=True),
        doc.Bullets(notes, on=(doc.DETAILS,), tone="muted"),
        *(doc.Remark(f"{text}.", on=(doc.HTML,), tone="muted") for text in notes),
        doc.Charts([two_targets.turns(turns.compared)[0]]),
    ]
    sections = [
        doc.Section("A against B", against, on=(doc.BRIEF, *doc.IN_FULL)),
        doc.Section("", of_both, terminal=f"Steps of each target {_CLAUSE}", on=(doc.DETAILS,)),
    ]
    for target, steps in turns.figures.items():
        address = doc.Remark(doc.Code(turns.targets[target]), on=(doc.HTML,))
        blocks = [address, *tables.requests("step", steps, model)]
        sections.append(doc.Section(f"Target {target}", blocks, on=doc.PAGES))
    return sections


def _on_page(sections: list[doc.Section]) -> list[doc.Section]:
    return [msgspec.structs.replace(section, on=(doc.HTML,)) for section in sections if doc.HTML in section.on]


def _off_page(sections: list[doc.Section]) -> list[doc.Section]:
    off = [tuple(medium for medium in section.on if medium != doc.HTML) for section in sections]
    return [msgspec.structs.replace(section, on=on) for section, on in zip(sections, off, strict=True)]


def _stages(summary: Summary) -> doc.Section:
    # One stage is the whole run, which stands above.
    on = doc.IN_FULL if len(summary.stages) > 1 else doc.PAGES
    title = "Stages, conversation.create (times in ms)"
    return doc.Section("Stages", tables.stages(summary.stages, summary.model), on=on, terminal=title)


def _retries(summary: Summary) -> list[doc.Block]:
    facts = figures.retry_facts(summary)
    if not facts:
        return []
    below = doc.Remark(figures.RETRY_NOTE, on=(*doc.TERMINAL, doc.HTML), tone="muted")
    return [doc.Remark(figures.RETRY_NOTE, on=(doc.MARKDOWN,)), doc.Facts({"": facts}), below]


def _with_code(text: str) -> doc.Words:
    """Reads text of ours in which backticks stand around what is to be typed."""
    return [doc.Code(part) if at % 2 else part for at, part in enumerate(text.split("`"))]


def _as_text(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: doc.brief(value if isinstance(value, str) else json.dumps(value)) for key, value in values.items()}
