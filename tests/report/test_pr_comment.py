import re
from collections.abc import Callable
from pathlib import Path

import msgspec
from markdown_it import MarkdownIt
from tests.report.conftest import HOSTILE
from tests.report.test_comparison import comparison as hostile_comparison
from tests.run_logs import Make

from convload.comparison.conclusion import Conclusion, conclude
from convload.judging.alike import RunKind
from convload.judging.baseline import freeze, of_run
from convload.plan.gate_grammar import parse
from convload.report import html, markdown
from convload.report.github import outputs
from convload.report.pr_comment import render, with_marker
from convload.report.run import document
from convload.results.run import Run
from convload.results.runlog import Record

BUILD = "https://ci.example/build/7"


def with_origin(conclusion: Conclusion, **origin: str) -> Conclusion:
    return msgspec.structs.replace(
        conclusion, manifest=msgspec.structs.replace(conclusion.manifest, origin=dict(origin))
    )


def test_a_comment_has_the_verdict_the_gates_and_a_link_to_the_build(conclusion: Conclusion) -> None:
    comment = render(with_origin(conclusion, build=BUILD, commit="0123456789abcdef"))

    assert conclusion.verdict.text.split(":")[0] in comment
    assert re.search(r"\| `errors <= 1%`.* \| fail \|", comment)
    assert f"[The build that made it]({BUILD})" in comment
    assert "commit `0123456789ab`" in comment


def test_its_first_line_is_that_of_every_comment_of_the_plan(
    conclusion: Conclusion, silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    first = {render(one).splitlines()[0] for one in (conclusion, conclude_records(silent))}

    assert first == {"<!-- convload: smoke -->"}
    assert with_marker("compare", "# x").startswith("<!-- convload: compare -->\n### x")


def test_the_comment_of_a_comparison_has_the_gates_and_what_differs(conclusion: Conclusion) -> None:
    comment = render(conclusion, hostile_comparison())

    assert comment.startswith("<!-- convload: smoke -->\n### convload smoke: fail\n")
    assert re.search(r"\| `errors <= 1%`.* \| fail \|", comment)
    assert "| regressed | `conversation.create` | p50 ms | 20.00 | 23.00 | +3.000 | +15.0 % | +2" in comment
    assert "- Cannot tell: " in comment
    assert "**Compared by force" in comment


def test_a_comment_says_what_the_reports_warn_of(make: Make) -> None:
    gate, log = "create.p50 <= baseline * 2", make.opened(gates=["create.p50 <= baseline * 2"])
    before = msgspec.structs.replace(of_run(Run(log)), warnings=["certificates are not checked"])
    manifest = msgspec.structs.replace(
        log.manifest, baseline=freeze(before, [parse(gate)], [], "base"), notes=["a clock was off"]
    )

    found = conclude(msgspec.structs.replace(log, manifest=manifest))
    compared = hostile_comparison()
    side = msgspec.structs.replace(compared.base[0], warnings=["certificates are not checked", "a worker was lost"])

    comment = render(found, msgspec.structs.replace(compared, base=[side]))

    assert comment.count("certificates are not checked") == 1
    assert "**Warning of " in comment
    assert "- Note: a clock was off" in comment
    assert "- Warning of the run that is the baseline: certificates are not checked" in comment


def test_reports_say_that_the_baseline_is_judged_by_ratio(make: Make) -> None:
    gate, log = "create.p50 <= baseline * 2", make.opened(gates=["create.p50 <= baseline * 2"])
    of_run_, kinds = of_run(Run(log)), [RunKind({}, {}, {"cores": cores}, {}) for cores in (2, 8)]
    own, here = (
        msgspec.structs.replace(of_run_, identity=msgspec.structs.replace(of_run_.identity, kind=kind))
        for kind in kinds
    )
    frozen = freeze(msgspec.structs.replace(own, calibrations=[own, here]), [parse(gate)], [], "base")
    found = conclude(msgspec.structs.replace(log, manifest=msgspec.structs.replace(log.manifest, baseline=frozen)))

    said = "Judged by ratio: the baseline is of another kind of machine (cores 2 there and 8 here)"
    for text in (render(found), markdown.render(document(found)), html.render(document(found))):
        assert said in text
    assert "by calibration runs all work takes" in found.gates[0].message
    assert outputs(found, Path("r"))["by_ratio"] == "true"


def test_a_comment_leaves_room_for_a_link_in_what_github_takes() -> None:
    comment = with_marker("gate", "| a | row |\n" * 9000)

    assert 60_000 < len(comment) < 65_536 - 1_000
    rows, _, cut = comment.partition("\n\n")
    assert rows.endswith("| a | row |")
    assert "Cut here" in cut


def test_no_name_can_leave_the_marker_or_become_markup(conclusion: Conclusion) -> None:
    hostile = msgspec.structs.replace(conclusion.summary, plan=HOSTILE)

    comment = render(with_origin(msgspec.structs.replace(conclusion, summary=hostile), build="https://x/(a)"))

    marker, _, rest = comment.partition("\n")
    assert marker.count("-->") == marker.count("<!--") == 1
    assert marker.endswith(" -->")
    page = MarkdownIt("commonmark", {"html": True}).render(rest)
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="https://x/%28a%29"' in page


def test_what_differs_from_the_baseline_stands_in_a_table(make: Make) -> None:
    gate, log = "create.p50 <= baseline * 2", make.opened(gates=["create.p50 <= baseline * 2"])
    before = make.opened(lambda *_: {"service_us": 500})
    frozen = freeze(of_run(Run(before)), [parse(gate)], [], "base")
    log = msgspec.structs.replace(log, manifest=msgspec.structs.replace(log.manifest, baseline=frozen))

    comment = render(conclude(log))

    assert "### Against the baseline" in comment
    assert "| conversation.create | baseline | here | change |" in comment
    assert "| response p50 ms | 0.55 | 1.05 | +90.9 % |" in comment
