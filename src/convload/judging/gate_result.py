"""What a gate says of a run."""

import msgspec

PASS = "pass"  # noqa: S105 -- an outcome
FAIL = "fail"
INCONCLUSIVE = "inconclusive"


class GateResult(msgspec.Struct, frozen=True):
    """The outcome of one gate, in its own unit: the point `value`, its bounds `low` and `high`, and the `limit`.

    Each bound holds with `confidence` on its own; an `exact` figure is its own bound, and None stands where the samples
    do not reach for one. Where a gate is judged by windows the figures are of the worst of them. `limit` against a
    baseline is that of the baseline's point value. `samples` are the requests that were looked at and `needed` how many
    it takes at least, or would take about, None where that is not what is missing.
    """

    gate: str
    outcome: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    unit: str
    builtin: bool
    message: str
    samples: int | None = None
    needed: int | None = None
    confidence: float = 0.99
    exact: bool = False
