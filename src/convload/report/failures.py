"""Shows what failed: how often which kind of each step, what the target said to it."""

import msgspec

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
    table = doc.table(
        _kinds(conclusion),
        (doc.Column("step", "words"), lambda one: doc.Code(one.step)),
        (doc.Column("kind", "words"), lambda one: doc.Code(one.kind)),
        (doc.Column("count"), lambda one: figures.count(one.count)),
        (doc.Column("share", on=(doc.HTML,)), lambda one: figures.percent(one.count, one.of)),
        (doc.Column("meaning", "words", on=(doc.HTML,)), lambda one: _meaning(one.kind)),
        (doc.Column("a sample of it", "words", on=(doc.DETAILS,)), lambda one: _first_detail(one.samples)),
    )
    note = "After the warm-up; the share is of all requests of the step. More samples are in errors.jsonl."
    said = note if table.rows else "No request failed after the warm-up."
    return doc.Section("Errors", [table, doc.Remark(said, on=(doc.HTML,), tone="muted"), *_quoted(conclusion)])


def samples(conclusion: Conclusion) -> doc.Section:
    """Returns the first samples of failed requests."""
    shown = conclusion.samples[:_SAMPLES]
    table = doc.table(
        shown,
        (doc.Column("at s"), lambda one: f"{one.t_s:.1f}"),
        (doc.Column("kind", "words"), lambda one: doc.Code(one.outcome)),
        (doc.Column("variant", "words"), lambda one: doc.Code(one.variant or one.step)),
        (doc.Column("detail", "words"), lambda one: doc.Code(one.detail)),
    )
    return doc.Section(
        f"Samples of failed requests ({len(shown)} of {len(conclusion.samples)} in errors.jsonl)",
        [table],
        on=(doc.MARKDOWN,),
    )


class _Kind(msgspec.Struct, frozen=True):
    """An error kind of a step, and how many requests `of` that step there were."""

    step: str
    kind: str
    count: int
    of: int
    samples: list[ErrorSample]


def _kinds(conclusion: Conclusion) -> list[_Kind]:
    return [
        _Kind(
            step, kind, count, row.count, [one for one in conclusion.samples if (one.step, one.outcome) == (step, kind)]
        )
        for step, row in conclusion.summary.steps.items()
        for kind, count in row.errors.items()
    ]


def _meaning(kind: str) -> str:
    return MEANINGS.get("http_<status>" if kind.startswith("http_") else kind, "")


def _first_detail(samples: list[ErrorSample]) -> str:
    return doc.brief(samples[0].detail, _DETAIL) if samples else ""


def _quoted(conclusion: Conclusion) -> list[doc.Block]:
    return [
        doc.Folded(
            (doc.Code(kind.kind), f" of {kind.step}"),
            [(f"{_place(one)} ", doc.Code(one.detail)) for one in kind.samples[:_SAMPLES_A_KIND]],
            is_open=at < _OPEN_KINDS,
        )
        for at, kind in enumerate(kind for kind in _kinds(conclusion) if kind.samples)
    ]


def _place(sample: ErrorSample) -> str:
    payload = f", payload {sample.index}" if sample.index >= 0 else ""
    return f"{sample.t_s:.1f} s, worker {sample.worker}{payload}{f', {sample.variant}' * bool(sample.variant)}"
