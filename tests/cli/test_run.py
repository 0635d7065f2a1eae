"""Flags of `convload run` that do nothing are refused."""

from pathlib import Path

import pytest

from convload.cli.run import unused_flags
from convload.plan.plan import assemble


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"users": "5", "rate": "10"}, "--users: is for the closed model, and this load is open"),
        ({"users": "5", "arrivals": "even"}, "--arrivals: is for the open model, and this load is closed"),
        ({"users": "5", "max_in_flight": "9"}, "--max-in-flight: is for the open model"),
        ({"model": "closed", "rate": "10"}, "--model closed: --rate makes the load open"),
        ({"window": "1s"}, "--window: is the length of a turn; give --target-b URL too"),
        ({"arrivals": "even", "replay": "starts.csv"}, "--arrivals: a replay has starts of its own"),
    ],
)
def test_a_flag_that_the_model_does_not_use_is_refused(flags: dict[str, str], problem: str) -> None:
    assert [text[: len(problem)] for text in unused_flags(assemble(None, {}, flags), flags)] == [problem]


def test_flags_that_the_model_uses_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text("rate = 5\narrivals = 'even'\nmax_in_flight = 7\n")
    for flags in ({"users": "5", "think": "constant 1s"}, {"rate": "9", "arrivals": "poisson"}, {"max_in_flight": "9"}):
        assert unused_flags(assemble(path, {}, flags), flags) == []
