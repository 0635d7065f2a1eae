import xml.etree.ElementTree as ET
from collections.abc import Callable

import msgspec
import pytest

from convload.report.junit import render
from convload.results.runlog import Note, Record
from convload.results.verdict import Conclusion


def parse(conclusion: Conclusion) -> ET.Element:
    return ET.fromstring(render(conclusion))  # noqa: S314 -- our own document


def test_a_failed_gate_is_a_failure_with_its_message(conclusion: Conclusion) -> None:
    suite = parse(conclusion)
    validity, gate = suite.findall("testcase")

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert list(validity) == []
    failure = gate.find("failure")
    assert failure is not None
    assert failure.get("message") == conclusion.gates[0].message


def test_a_pass_has_neither_failure_nor_error(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    suite = parse(conclude_records(passing))

    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert suite.find("testcase/*") is None


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
