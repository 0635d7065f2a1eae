"""Writes the figures of a capacity search for people: the same rows in every report."""

from convload.report.figures import NONE, about
from convload.results.capacity_result import Bounded, CapacityResult

TRIAL_HEAD = ["at s", "rate /s", "for s", "outcome", "achieved /s", "good /s", "p99 ms", "broke"]
OVERLOAD_HEAD = ["× capacity", "offered /s", "good /s", "kept", "shed", "by", "other failures", "p99 ms accepted"]


def trial_rows(result: CapacityResult) -> list[list[str]]:
    """Returns the trials in their order under their head."""
    return [
        TRIAL_HEAD,
        *(
            [
                f"{trial.at_s:.0f}",
                about(trial.rate),
                f"{trial.duration_s:.3g}",
                trial.verdict,
                about(trial.achieved_per_s),
                about(trial.goodput_per_s),
                about(trial.response_p99_ms),
                ", ".join(trial.broken),
            ]
            for trial in result.trials
        ),
    ]


def overload_rows(result: CapacityResult) -> list[list[str]]:
    """Returns the loads at and beyond capacity under their head."""
    points = result.overload.points if result.overload else []
    return [
        OVERLOAD_HEAD,
        *(
            [
                f"{point.factor:g}",
                about(point.offered_per_s),
                about(point.goodput_per_s),
                _percent(point.kept),
                _percent(point.shed_share),
                ", ".join(f"{status} {_percent(share)}" for status, share in point.shed_by.items()) or NONE,
                _percent(point.failed_share),
                about(point.accepted_p99_ms),
            ]
            for point in points
        ),
    ]


def objective_line(result: CapacityResult) -> str:
    """Says how the answer came about."""
    goodput = f"; goodput there {about(result.goodput_per_s)}/s" if result.goodput_per_s is not None else ""
    busy = f", overloaded {about(result.sustained_per_s)}/s" if goodput and result.sustained_per_s is not None else ""
    return (
        f"{len(result.trials)} trials in {result.took_s:.0f} s of a budget of {result.budget_s:.0f} s, "
        f"limited by: {result.limited_by}{goodput}{busy}."
    )


def usl_lines(result: CapacityResult) -> list[str]:
    """Says what the scalability law and Little's law make of the trials."""
    lines = []
    fitted = result.saturation.usl if result.saturation else result.usl
    if fitted is None or fitted.refused:
        lines.append(f"Not fitted: {fitted.refused if fitted else 'nothing was measured'}.")
    else:
        lines += [
            f"{name} = {_bounded(value)} (95 % interval)"
            for name, value in (("σ", fitted.sigma), ("κ", fitted.kappa), ("λ per s", fitted.lambda_per_s))
        ]
        lines.append(f"largest residual {_percent(max((abs(r) for r in fitted.residuals), default=0.0))}")
        if fitted.peak_refused:
            lines.append(f"No peak is predicted: {fitted.peak_refused}.")
        else:
            lines.append(f"peak at {_bounded(fitted.peak_concurrency)} in flight, {_bounded(fitted.peak_per_s)}/s")
    if result.saturation:
        lines.append(result.saturation.text)
    broken = [check for check in result.little if not check.holds]
    if result.little:
        holds = "holds in all" if not broken else f"fails in {len(broken)} of"
        lines.append(f"Little's law {holds} {len(result.little)} steady trials.")
    return lines


def _bounded(value: Bounded | None) -> str:
    if value is None:
        return NONE
    low, high = (NONE if bound is None else f"{bound:.3g}" for bound in (value.low, value.high))
    return f"{value.value:.3g} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
