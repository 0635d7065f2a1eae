"""Shows what failed: how often which kind of each step, what the target said to it."""

from collections.abc import Iterator

from convload.comparison.conclusion import Conclusion
from convload.contract.outcomes import MEANINGS
from convload.report import document as doc
from convload.report import figures
from convload.results.runlog import ErrorSample

_DETAIL = 120
_SAMPLES, _SAMPLES_A_KIND, _OPEN_KINDS = 10, 5, 2


def lines(conclusion: Conclusion) -> list[str]:
    """Returns a line a step of which something failed, for whoever sees no table of it."""
    kinds = {step: row.errors for step, row in conclusion.summary.steps.items() if row.errors}
    return [
        f"Failed of {step}: {', '.join(f'{kind} {figures.count(count)}' for kind, count in errors.items())}"
        for step, errors in kinds.items()
    ]


def errors(conclusion: Conclusion) -> doc.Section:
    """Returns one row an error kind of a step, with what it means, and what was answered."""
    table = doc.Table(
        [
            doc.Column("step", kind="words"),
            doc.Column("kind", kind="words"),
            doc.Column("count"),
            doc.Column("share", on=(doc.HTML,)),
            doc.Column("meaning", kind="words", on=(doc.HTML,)),
            doc.Column("a sample of it", kind="words", on=(doc.DETAILS,)),
        ],
        list(_rows(conclusion)),
    )
    note = "After the warm-up; the share is of all requests of the step. More samples are in errors.jsonl."
    said = note if table.rows else "No request failed after the warm-up."
    return doc.Section("Errors", [table, doc.Note(said, on=(doc.HTML,), tone="muted"), *_quoted(conclusion)])


def samples(conclusion: Conclusion) -> doc.Section:
    """Returns the first samples of failed requests."""
    shown = conclusion.samples[:_SAMPLES]
    heads = ("kind", "variant", "detail")
    rows: list[list[doc.Words]] = [
        [f"{one.t_s:.1f}", doc.Code(one.outcome), doc.Code(one.variant or one.step), doc.Code(one.detail)]
        for one in shown
    ]
    return doc.Section(
        f"Samples of failed requests ({len(shown)} of {len(conclusion.samples)} in errors.jsonl)",
        [doc.Table([doc.Column("at s"), *(doc.Column(head, kind="words") for head in heads)], rows)],
        on=(doc.MARKDOWN,),
    )


def _kinds(conclusion: Conclusion) -> Iterator[tuple[str, str, list[ErrorSample]]]:
    for step, row in conclusion.summary.steps.items():
        for kind in row.errors:
            yield step, kind, [one for one in conclusion.samples if (one.step, one.outcome) == (step, kind)]


def _rows(conclusion: Conclusion) -> Iterator[list[doc.Words]]:
    for step, kind, found in _kinds(conclusion):
        row = conclusion.summary.steps[step]
        yield [
            doc.Code(step),
            doc.Code(kind),
            figures.count(row.errors[kind]),
            figures.percent(row.errors[kind], row.count),
            MEANINGS.get("http_<status>" if kind.startswith("http_") else kind, ""),
            doc.brief(found[0].detail, _DETAIL) if found else "",
        ]


def _quoted(conclusion: Conclusion) -> list[doc.Block]:
    quoted = [(step, kind, found[:_SAMPLES_A_KIND]) for step, kind, found in _kinds(conclusion) if found]
    return [
        doc.Folded(
            (doc.Code(kind), f" of {step}"),
            [(f"{_place(one)} ", doc.Code(one.detail)) for one in found],
            is_open=at < _OPEN_KINDS,
        )
        for at, (step, kind, found) in enumerate(quoted)
    ]


def _place(sample: ErrorSample) -> str:
    payload = f", payload {sample.index}" if sample.index >= 0 else ""
    return f"{sample.t_s:.1f} s, worker {sample.worker}{payload}{f', {sample.variant}' * bool(sample.variant)}"
