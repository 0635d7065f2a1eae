import re
from collections.abc import Callable

import msgspec
import pytest

from convload.comparison.conclusion import Conclusion
from convload.report.metrics_txt import render
from convload.results.runlog import Note, Record

# The lines of OpenMetrics 1.0 that are used here, from the grammar in its specification.
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[n"\\])*"'
SAMPLE = re.compile(
    rf"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{(?P<labels>{LABEL}(?:,{LABEL})*)\}})? (?P<value>-?[0-9.]+(?:e[+-]?\d+)?)"
)
DESCRIPTOR = re.compile(r"# (?P<what>TYPE|UNIT|HELP) (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?P<text>[^\n]+)")
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "summary": ("", "_count")}


def read(text: str) -> dict[str, float]:
    """Reads an exposition strictly: every sample belongs to the family above it, no series is there twice."""
    *lines, eof, rest = text.split("\n")
    assert (eof, rest) == ("# EOF", "")
    samples: dict[str, float] = {}
    types: dict[str, str] = {}
    family = ""
    for line in lines:
        if descriptor := DESCRIPTOR.fullmatch(line):
            if descriptor["name"] != family:
                family = descriptor["name"]
                assert family not in types
            if descriptor["what"] == "TYPE":
                types[family] = descriptor["text"]
            assert descriptor["what"] != "UNIT" or family.endswith("_" + descriptor["text"])
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample is not None, line
        assert sample["name"] in [family + suffix for suffix in SUFFIXES[types[family]]]
        key = line.rpartition(" ")[0]
        assert key not in samples
        samples[key] = float(sample["value"])
    return samples


def test_the_key_figures_are_those_of_the_summary(conclusion: Conclusion) -> None:
    samples = read(render(conclusion))

    create = conclusion.summary.steps["conversation.create"]
    assert samples["convload_exit_code"] == 1
    assert samples['convload_create_response_milliseconds{quantile="0.99"}'] == create.response_ms["p99"]
    assert samples['convload_create_response_milliseconds{quantile="1"}'] == create.response_ms["max"]
    assert samples["convload_create_response_milliseconds_count"] == create.ok
    assert samples["convload_create_rate"] == conclusion.summary.achieved_rate
    assert samples["convload_create_failed_ratio"] == pytest.approx(44 / 584)
    assert samples['convload_requests_total{outcome="http_503",step="conversation.create"}'] == 20
    assert samples['convload_gate_passed{gate="errors <= 1%"}'] == 0
    assert samples['convload_gate_value{gate="errors <= 1%"}'] == conclusion.gates[0].value


def test_an_open_run_tells_all_three_clocks_and_both_rates(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    conclusion = conclude_records(opened)
    samples = read(render(conclusion))

    create = conclusion.summary.steps["conversation.create"]
    for clock in ("response", "service", "lateness"):
        times = getattr(create, f"{clock}_ms")
        assert samples[f'convload_create_{clock}_milliseconds{{quantile="0.5"}}'] == times["p50"]
    assert samples["convload_create_offered_rate"] == samples["convload_create_rate"] == 120


def test_what_was_not_measured_is_left_out(silent: list[Record], conclude_records: Callable[..., Conclusion]) -> None:
    samples = read(render(conclude_records(silent)))

    assert samples["convload_exit_code"] == 3
    assert not [name for name in samples if "milliseconds" in name or "gate_value" in name]


def test_no_name_can_leave_its_label(conclusion: Conclusion) -> None:
    gate = msgspec.structs.replace(conclusion.gates[0], gate='a"} 1\nb\\n{x="\x1b\u2028')

    samples = read(render(msgspec.structs.replace(conclusion, gates=[gate])))

    assert 'convload_gate_passed{gate="a\\"} 1\\\\nb\\\\n{x=\\"\\\\x1b\\\\u2028"}' in samples


def test_each_note_is_a_series(passing: list[Record], conclude_records: Callable[..., Conclusion]) -> None:
    samples = read(render(conclude_records([*passing, Note(3.0, "lost"), Note(4.0, "lost")])))

    assert samples['convload_note{text="lost"}'] == 1
