"""Writes junit.xml: a test case for each gate, validity and two targets, as continuous integration shows them."""

import xml.etree.ElementTree as ET

from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import REGRESSED, UNKNOWN
from convload.contract.steps import CREATE
from convload.judging.gate_result import FAIL, INCONCLUSIVE, GateResult
from convload.judging.verdict import INTERRUPTED
from convload.plan.facts import OPEN
from convload.report import figures
from convload.report.document import visible

_ELEMENTS = {FAIL: "failure", INCONCLUSIVE: "error"}


def render(conclusion: Conclusion) -> str:
    """Returns the document: a failed gate is a failure, what supports no verdict an error, never a pass."""
    summary = conclusion.summary
    cases = [
        _validity_case(conclusion),
        *_abort_case(conclusion),
        *(_gate_case(conclusion, gate) for gate in conclusion.gates),
        *_turns_case(conclusion),
    ]
    suite = ET.Element(
        "testsuite",
        name=visible(f"convload.{summary.plan}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        time=f"{summary.duration_s:.3f}",
        timestamp=visible(summary.started),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _key_figures(conclusion).items():
        ET.SubElement(properties, "property", name=name, value=visible(value))
    suite.extend(cases)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _validity_case(conclusion: Conclusion) -> ET.Element:
    case = _case(conclusion, "the run supports a verdict")
    reasons = conclusion.validity.reasons
    if conclusion.verdict.outcome == INTERRUPTED:
        reasons = conclusion.verdict.reasons
    if reasons:
        kind = conclusion.verdict.outcome if conclusion.verdict.outcome == INTERRUPTED else INCONCLUSIVE
        _say(case, "error", kind, reasons)
    if beside := [*figures.asides(conclusion), *(f"Note: {note}" for note in conclusion.summary.notes)]:
        _note(case, beside)
    return case


def _abort_case(conclusion: Conclusion) -> list[ET.Element]:
    if conclusion.aborted is None:
        return []
    case = _case(conclusion, f"not {conclusion.aborted.condition}")
    _say(case, "failure", FAIL, [figures.aborted(conclusion)])
    return [case]


def _gate_case(conclusion: Conclusion, gate: GateResult) -> ET.Element:
    case = _case(conclusion, gate.gate)
    if gate.outcome in _ELEMENTS:
        _say(case, _ELEMENTS[gate.outcome], gate.outcome, [gate.message, figures.gate_figures(gate)])
    else:
        _note(case, [figures.gate_figures(gate)])
    return case


def _turns_case(conclusion: Conclusion) -> list[ET.Element]:
    turns = conclusion.target_comparison
    if turns is None:
        return []
    case = _case(conclusion, "B is no slower than A")
    kind = {REGRESSED: FAIL, UNKNOWN: INCONCLUSIVE}.get(turns.outcome)
    if kind:
        _say(case, _ELEMENTS[kind], kind, turns.reasons)
    return [case]


def _case(conclusion: Conclusion, name: str) -> ET.Element:
    return ET.Element("testcase", classname=visible(f"convload.{conclusion.summary.plan}"), name=visible(name))


def _say(case: ET.Element, element: str, kind: str, lines: list[str]) -> None:
    """Says why a case is not green: the first line for lists, all of them for whoever opens it."""
    said = ET.SubElement(case, element, message=visible(lines[0]), type=kind)
    said.text = _text(lines)


def _note(case: ET.Element, lines: list[str]) -> None:
    ET.SubElement(case, "system-out").text = _text(lines)


def _text(lines: list[str]) -> str:
    return "\n".join(visible(line) for line in lines)


def _key_figures(conclusion: Conclusion) -> dict[str, str]:
    summary, create = conclusion.summary, conclusion.summary.steps.get(CREATE)
    times = {"": create.response_ms} if create else {}
    opened = {}
    if summary.model == OPEN:
        times |= {"service_": create.service_ms, "lateness_": create.lateness_ms} if create else {}
        opened = {"create.offered_per_s": _stated(summary.offered_rate), "create.unsent": str(summary.unsent)}
    return {
        "verdict": conclusion.verdict.outcome,
        "model": summary.model,
        "seed": str(summary.seed),
        "target": summary.target,
        "create.count": str(create.count if create else 0),
        "create.failed": str(create.count - create.ok if create else 0),
        "create.rate_per_s": _stated(summary.achieved_rate),
        **opened,
        **{f"create.{clock}{name}_ms": str(value) for clock, row in times.items() for name, value in row.items()},
    }


def _stated(value: float | None) -> str:
    return figures.NONE if value is None else str(value)
