"""What the gates of an objective ask of a target that is like a queue."""

import math
from collections.abc import Sequence

from convload.contract.steps import CREATE
from convload.plan.gate import ALL_PERCENT, Gate
from convload.plan.gate_names import RESPONSE, SHARE, TIME, UNITS

_MS_A_SECOND = 1000.0
_AT_MOST = ("<", "<=")


def decay_per_s(gates: Sequence[Gate]) -> float:
    """Returns how fast the tail of the response must fall for the strictest percentile to hold; 0 without one."""
    return max((_decay_per_s(gate) for gate in gates if _is_percentile(gate)), default=0.0)


def allowed_share(gates: Sequence[Gate]) -> float:
    """Returns the smallest share of failed creates that a gate allows; 0 where none says."""
    limits = (
        gate.limit.constant * UNITS[gate.limit.unit].scale / ALL_PERCENT for gate in gates if _is_share_of_errors(gate)
    )
    return min(limits, default=0.0)


def _decay_per_s(gate: Gate) -> float:
    beyond = 1 - (gate.subject.percent or 0.0) / ALL_PERCENT
    limit_s = gate.limit.constant * UNITS[gate.limit.unit].scale / _MS_A_SECOND
    return -math.log(beyond) / limit_s if 0 < beyond < 1 and limit_s > 0 else 0.0


def _is_percentile(gate: Gate) -> bool:
    subject = gate.subject
    return (
        (subject.step, subject.clock, subject.variant) == (CREATE, RESPONSE, "")
        and subject.percent is not None
        and gate.operator in _AT_MOST
        and gate.quantity == TIME
    )


def _is_share_of_errors(gate: Gate) -> bool:
    subject = gate.subject
    return (
        (subject.measure, subject.step, subject.kind, subject.variant) == ("errors", CREATE, "", "")
        and gate.operator in _AT_MOST
        and gate.quantity == SHARE
    )
