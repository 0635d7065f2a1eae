"""Shows what failed: how often which kind of each step, what the target said to it."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from convload.comparison.conclusion import Conclusion
from convload.contract.outcomes import MEANINGS, OK
from convload.contract.steps import ATTEMPTS, CREATE
from convload.report import commands, figures
from convload.report import document as doc
from convload.results.cells import counted
from convload.results.runlog import MEASURE, ErrorSample

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
        (doc.Column("first s", on=(doc.HTML,)), lambda one: figures.about(one.first_s)),
        (doc.Column("last s", on=(doc.HTML,)), lambda one: figures.about(one.last_s)),
        (doc.Column("/s between", on=(doc.HTML,)), lambda one: figures.about(one.per_s)),
        (doc.Column("meaning", "words", on=(doc.HTML,)), lambda one: _meaning(one.kind)),
        (
            doc.Column("a sample of it", "words", on=(doc.DETAILS,)),
            lambda one: "".join(doc.brief(sample.detail, _DETAIL) for sample in one.samples[:1]),
        ),
    )
    note = (
        "After the warm-up, by the second in which they were answered; the share is of all requests of the step. More "
        "samples are in errors.jsonl. A payload is built again from its index, byte for byte; headers that its variant "
        "adds are shown with it."
    )
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
        (doc.Column("headers", "words"), lambda one: doc.Code(_headers(one))),
    )
    title = f"Samples of failed requests ({len(shown)} of {len(conclusion.samples)} in errors.jsonl)"
    return doc.Section(title, [table], on=(doc.MARKDOWN,))


class _Kind(msgspec.Struct, frozen=True):
    """An error kind of a step, and how many requests `of` that step there were."""

    step: str
    kind: str
    count: int
    of: int
    samples: list[ErrorSample]
    first_s: float | None = None
    last_s: float | None = None

    @property
    def per_s(self) -> float | None:
        """How many there were a second from the first to the last."""
        if self.first_s is None or self.last_s is None:
            return None
        return self.count / max(self.last_s - self.first_s, 1.0)


def _kinds(conclusion: Conclusion) -> list[_Kind]:
    times, samples = _times(conclusion), defaultdict[tuple[str, str], list[ErrorSample]](list)
    for one in conclusion.samples:
        samples[one.step, one.outcome].append(one)
    return [
        _Kind(step, kind, count, row.count, samples[step, kind], *times.get((step, kind), (None, None)))
        for step, row in conclusion.summary.steps.items()
        for kind, count in row.errors.items()
    ]


def _times(conclusion: Conclusion) -> dict[tuple[str, str], tuple[float, float]]:
    """Returns when each kind of a step began and ended, as far as intervals tell."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for interval in conclusion.run.results:
        for (step, _, phase, outcome, _), _ in counted(interval.cells):
            if phase == MEASURE and outcome != OK:
                from_s, to_s = found.get((step, outcome), (interval.from_s, interval.to_s))
                found[step, outcome] = min(from_s, interval.from_s), max(to_s, interval.to_s)
    return found


def _meaning(kind: str) -> str:
    return MEANINGS.get("http_<status>" if kind.startswith("http_") else kind, "")


def _quoted(conclusion: Conclusion) -> list[doc.Block]:
    return [
        doc.Folded(
            (doc.Code(kind.kind), f" of {kind.step}"),
            [line for of_same in _distinct(kind.samples) for line in _lines(conclusion, of_same)],
            is_open=at < _OPEN_KINDS,
        )
        for at, kind in enumerate(kind for kind in _kinds(conclusion) if kind.samples)
    ]


def _distinct(samples: list[ErrorSample]) -> list[list[ErrorSample]]:
    """Returns the samples that say the same together, the most frequent first."""
    by_detail: dict[str, list[ErrorSample]] = {}
    for one in samples:
        by_detail.setdefault(one.detail, []).append(one)
    return sorted(by_detail.values(), key=len, reverse=True)[:_SAMPLES_A_KIND]


def _lines(conclusion: Conclusion, of_same: list[ErrorSample]) -> Iterator[doc.Words]:
    """Yields what was answered, how often that was seen, and how to see and send the first payload again."""
    first = of_same[0]
    more = f", and {len(of_same) - 1} samples more" if len(of_same) > 1 else ""
    trace = f", trace {first.trace_id}" if first.trace_id else ""
    yield f"{_place(first)}{trace}{more}{': ' * bool(first.detail)}", doc.Code(first.detail)
    if first.headers:
        yield "Headers of the answer: ", doc.Code(_headers(first))
    if first.index >= 0 and first.step in {CREATE, *ATTEMPTS}:
        yield doc.Command(commands.show(conclusion.manifest, first.index))
        yield doc.Command(commands.send(conclusion.manifest, first.index))


def _headers(sample: ErrorSample) -> str:
    return "; ".join(f"{name}: {value}" for name, value in sample.headers.items())


def slowest(conclusion: Conclusion) -> doc.Section:
    """Returns the slowest creates that succeeded, with what builds the payload of each again."""
    kept = conclusion.kept_requests.get(CREATE)
    table = doc.table(
        kept.slowest if kept else [],
        (doc.Column("due s"), lambda one: f"{one.due_s:.2f}"),
        (doc.Column("response"), lambda one: figures.milliseconds(one.response_ms)),
        (doc.Column("service"), lambda one: figures.milliseconds(one.service_ms)),
        (doc.Column("first byte"), lambda one: figures.milliseconds(one.first_byte_ms)),
        (doc.Column("connection", "name"), lambda one: "new" if one.new_connection else "reused"),
        (doc.Column("worker"), lambda one: str(one.worker)),
        (doc.Column("variant", "words"), lambda one: doc.Code(one.variant)),
        (doc.Column("trace", "words"), lambda one: doc.Code(one.trace_id)),
        (doc.Column("payload", "words"), lambda one: doc.Command(commands.show(conclusion.manifest, one.index))),
    )
    note = "Milliseconds, of creates that succeeded after the warm-up; those of other steps are in summary.json."
    said = doc.Remark(note if table.rows else "", tone="muted")
    return doc.Section("Slowest requests", [table, said], on=(doc.HTML,))


def _place(sample: ErrorSample) -> str:
    payload = f", payload {sample.index}" if sample.index >= 0 else ""
    return f"{sample.t_s:.1f} s, worker {sample.worker}{payload}{f', {sample.variant}' * bool(sample.variant)}"
