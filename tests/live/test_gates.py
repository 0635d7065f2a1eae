"""Where a gate stands while a run goes on."""

import pytest

from convload.judging.gate_result import GateResult
from convload.live.gates import GateState


@pytest.mark.parametrize(
    ("outcome", "value", "low", "high", "stands"),
    [
        ("pass", 0.0, 0.0, 0.9, "passes"),
        ("pass", 0.0, 0.0, 1.5, "undecided"),
        ("fail", 1.2, 0.8, 1.9, "in danger"),
        ("fail", 3.0, 2.0, 4.0, "fails"),
    ],
)
def test_a_built_in_gate_is_decided_by_its_bounds_alone(
    outcome: str, value: float, low: float, high: float, stands: str
) -> None:
    result = GateResult("errors <= 1%", outcome, value, low, high, 1.0, "%", builtin=True, message="")

    assert GateState.of(result).state == stands
