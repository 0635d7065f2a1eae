"""The picture of docs/gates.md: what it says is so."""

import xml.etree.ElementTree as ET
from statistics import mean

import pytest
from bench.gates_picture import PICTURE, Run, draw, measured, misses, true_ms


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return measured()


def test_the_true_p99_of_theory_is_that_of_the_simulated_queue(runs: list[Run]) -> None:
    assert mean(run.p99 for run in runs) == pytest.approx(true_ms(99), rel=0.05)


def test_naive_bounds_miss_the_truth_in_most_runs_and_those_of_a_gate_in_none(runs: list[Run]) -> None:
    truth = true_ms(99)

    assert sum(misses(run.naive, truth) for run in runs) > len(runs) / 2
    assert sum(misses(run.true, truth) for run in runs) == 0


def test_the_picture_is_an_image_with_words_for_who_cannot_see_it(runs: list[Run]) -> None:
    found = ET.fromstring(draw(runs, true_ms(99)))  # noqa: S314 -- our own document

    assert found.tag == "{http://www.w3.org/2000/svg}svg"
    assert "90 % busy" in found.attrib["aria-label"]


def test_the_committed_picture_is_of_the_same_queue() -> None:
    assert f"true p99: {true_ms(99):.0f} ms" in PICTURE.read_text(encoding="utf-8")
