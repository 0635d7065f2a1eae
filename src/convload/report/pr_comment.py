"""Writes pr-comment.md: what a pull request is told of a run; its first line names the comment that it replaces.

GitHub takes 65,536 characters; a comment is cut a little before, so that a pipeline can add links.
"""

import re
from operator import itemgetter

from convload.comparison.compare import Comparison
from convload.comparison.conclusion import Conclusion
from convload.contract.steps import CREATE
from convload.judging.validity import warnings_of
from convload.report import answer, figures, markdown, tables
from convload.report import comparison as contents
from convload.report import document as doc
from convload.results.histogram import Statistics, statistics
from convload.results.measured import Figures

_NAMES = ("p50", "p95", "p99")


MOST_LETTERS = 64_000
_CUT = "\n*Cut here: a comment takes no more. The report has it all.*\n"


def render(conclusion: Conclusion, comparison: Comparison | None = None) -> str:
    """Returns the comment: verdict, gates, what differs from a base or between two targets, where it comes from."""
    said = warnings_of(conclusion.summary.notes, conclusion.validity)
    said += conclusion.baseline.warnings if conclusion.baseline else []
    differences = _differences(conclusion) if comparison is None else [contents.in_a_comment(comparison, said)]
    warnings = [f"Note: {note}" for note in conclusion.summary.notes] + figures.asides(conclusion)
    return with_marker(
        conclusion.summary.plan,
        markdown.render(
            doc.Document(
                kind="run",
                title=f"convload {conclusion.summary.plan}: {conclusion.verdict.outcome}",
                heading="",
                statement=conclusion.verdict.text,
                sections=[
                    doc.Section("", [answer.gates_table(conclusion), doc.Bullets(warnings)]),
                    *differences,
                    doc.Section("", [doc.Bullets(_facts(conclusion))]),
                ],
            )
        )
        + _link(conclusion.manifest.origin.get("build", "")),
    )


def with_marker(name: str, text: str) -> str:
    """Puts the line before a comment by which the next one of the same kind finds it; headings become small."""
    marker = re.sub(r"[^A-Za-z0-9._ -]+", "-", name).replace("--", "-")
    made = f"<!-- convload: {marker} -->\n{re.sub(r'^#+ ', '### ', text, flags=re.MULTILINE)}"
    return made if len(made) <= MOST_LETTERS else made[: made.rindex("\n", 0, MOST_LETTERS) + 1] + _CUT


def _differences(conclusion: Conclusion) -> list[doc.Section]:
    turns, baseline = conclusion.target_comparison, conclusion.baseline
    if turns is not None:
        table = tables.differences(turns.differences, ("A", "B"), "interval", by_step=True)
        return [doc.Section("A against B", [table])]
    before = None if baseline is None else baseline.totals().figures(CREATE)
    if before is None or not before.count:
        return []
    rows = _rows(before, conclusion.run.create)
    table = doc.table(
        rows,
        (doc.Column("conversation.create", "words"), lambda one: one[0]),
        *((doc.Column(head), itemgetter(at)) for at, head in enumerate(("baseline", "here", "change"), 1)),
    )
    remark = "The gates say which difference counts."
    if baseline is not None and baseline.is_by_ratio:
        remark = "The baseline is of another kind of machine: the gates judge by ratio, and this table does not."
    return [doc.Section("Against the baseline", [table, doc.Remark(remark)])]


def _rows(before: Figures, here: Figures) -> list[tuple[str, str, str, str]]:
    known, found = statistics(before.response), statistics(here.response)
    return [
        *(_row(f"response {name} ms", known, found, name) for name in _NAMES if name in known or name in found),
        (
            "failed",
            figures.percent(before.failed, before.count),
            figures.percent(here.failed, here.count),
            "",
        ),
    ]


def _row(label: str, known: Statistics, found: Statistics, name: str) -> tuple[str, str, str, str]:
    old, new = known.get(name), found.get(name)
    change = f"{100 * (new / old - 1):+.1f} %" if old and new is not None else figures.NONE
    return label, figures.milliseconds(old), figures.milliseconds(new), change


def _facts(conclusion: Conclusion) -> list[doc.Words]:
    origin, create = conclusion.manifest.origin, conclusion.summary.steps.get(CREATE)
    facts: list[doc.Words] = []
    if create is not None:
        times = ", ".join(f"{name} {figures.milliseconds(create.response_ms.get(name))} ms" for name in _NAMES)
        failed = figures.count(create.count - create.ok)
        facts.append(f"{figures.count(create.count)} conversations, {failed} failed; {times}")
    if "commit" in origin:
        facts.append(["commit ", doc.Code(origin["commit"][:12])])
    return facts


def _link(url: str) -> str:
    """Returns a line that leads to the build, which keeps the report; parentheses would end the link."""
    return f"\n[The build that made it]({url.replace('(', '%28').replace(')', '%29')})\n" if url else ""
