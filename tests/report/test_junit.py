import xml.etree.ElementTree as ET
from collections.abc import Callable

import msgspec
import pytest

from convload.comparison.conclusion import Conclusion
from convload.judging.gate_result import GateResult
from convload.report.junit import render
from convload.results.runlog import Note, Record


def parse(conclusion: Conclusion) -> ET.Element:
    return ET.fromstring(render(conclusion))  # noqa: S314 -- our own document


def test_a_failed_gate_is_a_failure_with_its_message(conclusion: Conclusion) -> None:
    suite = parse(conclusion)
    validity, gate, *_ = suite.findall("testcase")

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "0")
    assert validity.find("error") is None
    failure = gate.find("failure")
    assert failure is not None
    assert failure.get("message") == conclusion.gates[0].message


def test_a_pass_has_neither_failure_nor_error(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    suite = parse(conclude_records(passing))

    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert {child.tag for child in suite.findall("testcase/*")} == {"system-out"}


def test_what_supports_no_verdict_is_an_error_and_never_green(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(silent)
    suite = parse(conclusion)

    assert (suite.get("failures"), suite.get("errors")) == ("0", "2")
    error = suite.find("testcase/error")
    assert error is not None
    assert (error.text or "").split("\n") == conclusion.validity.reasons


def test_an_interrupted_run_is_an_error_even_when_its_gates_hold(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    suite = parse(conclude_records([*passing, Note(12.0, "stopped", interrupted=True)]))

    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")


def test_properties_hold_the_key_figures(conclusion: Conclusion) -> None:
    properties = {p.get("name"): p.get("value") for p in parse(conclusion).iter("property")}

    create = conclusion.summary.steps["conversation.create"]
    assert properties["create.count"] == str(create.count)
    assert properties["create.p99_ms"] == str(create.response_ms["p99"])
    assert properties["verdict"] == "fail"


def test_properties_of_an_open_run_hold_both_clocks_and_both_rates(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(opened)
    properties = {p.get("name"): p.get("value") for p in parse(conclusion).iter("property")}

    create = conclusion.summary.steps["conversation.create"]
    assert properties["create.offered_per_s"] == properties["create.rate_per_s"] == "120.0"
    assert properties["create.unsent"] == "0"
    assert properties["create.service_p99_ms"] == str(create.service_ms["p99"])
    assert properties["create.lateness_p99_ms"] == str(create.lateness_ms["p99"])


@pytest.mark.parametrize("place", ["target", "note"])
def test_characters_that_xml_forbids_are_written_as_escapes(
    place: str, passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    hostile = "\x00\x0b\x1b]]>\ufffe\ud800<&\"'"
    if place == "target":
        passing[0] = msgspec.structs.replace(passing[0], target=hostile)
    else:
        passing.append(Note(1.0, hostile, invalidates=True))

    texts = [value for element in parse(conclude_records(passing)).iter() for value in element.attrib.values()]

    assert "\\x00\\x0b\\x1b]]>\\ufffe\\ud800<&\"'" in texts


# The JUnit schema that Jenkins' xUnit plug-in checks files by (junit-10.xsd): what may stand in what, in its order.
CHILDREN: dict[str, list[str]] = {
    "testsuite": ["properties", "testcase", "system-out", "system-err"],
    "properties": ["property"],
    "property": [],
    "testcase": ["skipped", "error", "failure", "system-out", "system-err"],
    "error": [],
    "failure": [],
    "system-out": [],
}
REQUIRED = {
    "testsuite": {"name"},
    "testcase": {"name", "classname"},
    "property": {"name", "value"},
    "error": {"message", "type"},
    "failure": {"message", "type"},
}
OPTIONAL = {"testsuite": {"tests", "failures", "errors", "time", "timestamp"}}
MAY_HOLD_TEXT = {"error", "failure", "system-out"}


@pytest.mark.parametrize("name", ["failing", "passing", "opened", "silent"])
def test_the_document_keeps_to_the_schema(
    name: str, request: pytest.FixtureRequest, conclude_records: Callable[..., Conclusion]
) -> None:
    for element in parse(conclude_records(request.getfixturevalue(name))).iter():
        places = [CHILDREN[element.tag].index(child.tag) for child in element]
        assert places == sorted(places)
        required = REQUIRED.get(element.tag, set())
        assert required <= set(element.keys()) <= required | OPTIONAL.get(element.tag, set())
        assert element.tag in MAY_HOLD_TEXT or not (element.text or "").strip()


@pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive"])
def test_every_gate_tells_its_value_bounds_limit_and_unit_whatever_its_outcome(
    outcome: str, conclusion: Conclusion
) -> None:
    gate = GateResult("create.p99 < 250ms", outcome, 251.25, 240.5, 262.0, 250.0, "ms", False, "it is so")
    suite = parse(msgspec.structs.replace(conclusion, gates=[gate]))
    case = suite.findall("testcase")[1]
    element = {"pass": "system-out", "fail": "failure", "inconclusive": "error"}[outcome]

    assert [child.tag for child in case] == [element]
    assert "value 251 ms, 99 % bounds 240 to 262 ms, limit 250 ms" in (case[0].text or "")
    assert (case[0].get("message"), case[0].get("type")) == (
        (None, None) if outcome == "pass" else ("it is so", outcome)
    )


@pytest.mark.parametrize("name", ["failing", "passing", "opened", "silent"])
def test_a_junit_reader_finds_the_same_counts_and_results(
    name: str, request: pytest.FixtureRequest, conclude_records: Callable[..., Conclusion]
) -> None:
    junitparser = pytest.importorskip("junitparser")
    conclusion = conclude_records(request.getfixturevalue(name))

    [suite] = junitparser.JUnitXml.fromstring(render(conclusion).encode())

    results = {case.name: [type(result).__name__ for result in case.result] for case in suite}
    wanted = {"pass": [], "fail": ["Failure"], "inconclusive": ["Error"]}
    assert results == {"the run supports a verdict": [] if conclusion.validity.valid else ["Error"]} | {
        gate.gate: wanted[gate.outcome] for gate in conclusion.gates
    }
    stated = (suite.tests, suite.failures, suite.errors)
    suite.update_statistics()
    assert stated == (suite.tests, suite.failures, suite.errors)


def test_what_a_reader_must_know_stands_beside_the_validity(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    suite = parse(conclude_records([*passing, Note(3.0, "12 records were not written")]))

    assert "Note: 12 records were not written" in (suite.findtext("testcase/system-out") or "").splitlines()
