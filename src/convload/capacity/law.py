"""Two laws of queues: Gunther's, fitted to throughput by concurrency, and Little's, which checks the figures.

X(N) = λN / (1 + σ(N-1) + κN(N-1)): λ is the throughput of one user, σ what is done one after the other, κ what each
must agree on with every other. Gunther, "Guerrilla Capacity Planning" (2007), ch. 4-6. N/X is linear in the unknowns
a = 1/λ, σa and κa, so the fit is weighted linear least squares with relative errors, and its intervals are Student's.
"""

import math
from collections.abc import Sequence
from operator import attrgetter

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from convload.report.figures import about
from convload.results.capacity_result import Bounded, LittleCheck, Point, Trial, Usl, usl
from convload.results.histogram import short

Floats = npt.NDArray[np.float64]

POINTS_NEEDED = 6
SPAN_NEEDED = 4.0
"""Highest over lowest concurrency; closer together, σ and κ cannot be told apart."""

REACH = 2.0
"""A peak farther out than this multiple of the highest concurrency that was measured is not predicted."""

EXPLAINED, CLOSE = 0.5, 0.05
"""Less of the variance explained than that is no fit, unless the law is as close to the points as this, relative:
where throughput is the same at all concurrencies there is nothing to explain."""

APART, OPEN = 1.05, 2.0
"""A peak that is so many times what was measured, or whose interval reaches from one value to so many times it, is
none."""

TOLERANCE = 0.1
"""Relative. Little's law holds exactly over a long time; in a trial, what is in flight at its ends makes the
difference."""

CONFIDENCE = 0.95
_DRAWS = 4000


def fit(points: Sequence[Point], most_per_s: float | None = None) -> Usl:
    """Returns the fit, or a refusal where the points are too few or too clustered, or it explains none of them.

    `most_per_s` is the most that any load got done where loads went beyond what the target carries.
    """
    kept = sorted(
        (point for point in points if point.per_s > 0 and point.concurrency > 0), key=attrgetter("concurrency")
    )
    refused = _refusal(kept)
    if refused:
        return Usl(points=kept, refused=refused)
    n = np.array([point.concurrency for point in kept])
    y = n / np.array([point.per_s for point in kept])
    estimate, covariance = _least_squares(n, y)
    if estimate[0] <= 0:
        refused = "the points do not follow the law: the throughput of one user comes out negative"
        return Usl(points=kept, refused=refused)
    a, b, c = estimate.tolist()
    if refused := _unexplained(kept, a, b, c):
        return Usl(points=kept, refused=refused)
    sigma, kappa = b / a, c / a
    error = float(stdtrit(len(kept) - 3, (1 + CONFIDENCE) / 2))
    slopes = {"lambda": [-1 / a**2, 0, 0], "sigma": [-b / a**2, 1 / a, 0], "kappa": [-c / a**2, 0, 1 / a]}
    half = {name: error * math.sqrt(np.array(row) @ covariance @ np.array(row)) for name, row in slopes.items()}
    fitted = [usl(point.concurrency, 1 / a, sigma, kappa) for point in kept]
    peak, peak_per_s, peak_refused = _peak(estimate, covariance, kept)
    if not peak_refused:
        peak_refused = _contradiction(peak, peak_per_s, kept, most_per_s)
    return Usl(
        points=kept,
        sigma=_around(sigma, half["sigma"]),
        kappa=_around(kappa, half["kappa"]),
        lambda_per_s=_around(1 / a, half["lambda"]),
        residuals=[point.per_s / value - 1 for point, value in zip(kept, fitted, strict=True)],
        peak_concurrency=None if peak_refused else peak,
        peak_per_s=None if peak_refused else peak_per_s,
        peak_refused=peak_refused,
    )


def _unexplained(points: list[Point], a: float, b: float, c: float) -> str:
    """Refuses a fit that leaves most of what there is to explain: how throughput differs between concurrencies."""
    y = np.array([point.per_s for point in points])
    n = np.array([point.concurrency for point in points])
    left = y / (n / (a + b * (n - 1) + c * n * (n - 1))) - 1
    explained = 1 - float(left @ left) / float(np.sum((y / y.mean() - 1) ** 2) or 1.0)
    if explained >= EXPLAINED or float(np.sqrt(np.mean(left**2))) <= CLOSE:
        return ""
    return f"the law explains {100 * max(explained, 0.0):.0f} % of how throughput varies between the concurrencies"


def _contradiction(peak: Bounded | None, per_s: Bounded | None, points: list[Point], most_per_s: float | None) -> str:
    """Returns why a peak cannot be: it is open, or goodput was measured where it should be and is not like it."""
    if peak is None or per_s is None:
        return ""
    if peak.high is None or (per_s.high or math.inf) > OPEN * (per_s.low or 0.0):
        return "the points leave open where it would be"
    measured = max(point.per_s for point in points)
    if most_per_s is None and peak.value > points[-1].concurrency:
        return ""
    most = max(measured, most_per_s or 0.0)
    if 1 / APART <= per_s.value / most <= APART:
        return ""
    return f"goodput was {about(most)}/s at most, and the fitted peak is {about(per_s.value)}/s"


def _refusal(points: list[Point]) -> str:
    different = len({round(point.concurrency, 6) for point in points})
    if different < POINTS_NEEDED:
        return f"the scalability law needs at least {POINTS_NEEDED} different concurrencies; there are {different}"
    span = points[-1].concurrency / points[0].concurrency
    if span < SPAN_NEEDED:
        return (
            f"the concurrencies are too close together: the highest is {short(span, 2)} times the lowest, "
            f"at least {SPAN_NEEDED:g} times are needed"
        )
    return ""


def _least_squares(n: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Returns the estimate of (a, σa, κa) and its covariance; each point is weighted by its relative error.

    The weights are those of the fit before, from the second round on: weights from noisy points would bend it.
    """
    design = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])
    scale = y
    for _ in range(5):
        weighted = design / scale[:, None]
        estimate, *_ = np.linalg.lstsq(weighted, y / scale, rcond=None)
        scale = np.maximum(design @ estimate, 1e-3 * y)
    residuals = y / scale - weighted @ estimate
    variance = float(residuals @ residuals) / (len(y) - 3)
    return np.asarray(estimate), np.asarray(variance * np.linalg.inv(weighted.T @ weighted))


def _around(value: float, half: float) -> Bounded:
    return Bounded(value, value - half, value + half)


def _peak(estimate: Floats, covariance: Floats, points: list[Point]) -> tuple[Bounded | None, Bounded | None, str]:
    """Returns concurrency and throughput of the peak with intervals from draws of the fit, or why not."""
    a, b, c = estimate.tolist()
    highest = points[-1].concurrency
    if c <= 0:
        return None, None, "throughput shows no peak: the fitted κ is not above zero"
    if b >= a:
        return None, None, "the fitted σ is 1 or more: one user gets the most done"
    peak = math.sqrt((a - b) / c)
    if peak > REACH * highest:
        beyond = f"{REACH:g} times the highest concurrency that was measured ({highest:g})"
        return None, None, f"the fitted peak lies beyond {beyond}; measure farther out"
    draws = np.random.default_rng(0).multivariate_normal(estimate, covariance, _DRAWS, method="svd")
    ratio = np.where(draws[:, 2] > 0, (draws[:, 0] - draws[:, 1]) / draws[:, 2], np.inf)
    peaks = np.sqrt(np.maximum(ratio, 1.0))
    at = np.minimum(peaks, REACH * highest)
    heights = at / (draws[:, 0] + draws[:, 1] * (at - 1) + draws[:, 2] * at * (at - 1))
    height = peak / (a + b * (peak - 1) + c * peak * (peak - 1))
    return _spread(peak, peaks), _spread(height, heights), ""


def _spread(value: float, draws: Floats) -> Bounded:
    ordered = np.sort(draws)
    low, high = (
        float(ordered[round(share * (len(ordered) - 1))]) for share in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    )
    return Bounded(value, low, high if math.isfinite(high) else None)


def check_little(trials: Sequence[Trial]) -> list[LittleCheck]:
    """Checks L = λW: what is in flight is the rate times the response. Where it fails, a figure is wrong.

    Returns the check of each steady trial that measured all three; a growing backlog is in no balance.

    The mean response is that of creates that succeeded, so theirs is the rate: what is shed is refused at once.
    """
    checks = []
    for trial in trials:
        rate, response_ms, in_flight = trial.achieved_per_s, trial.response_mean_ms, trial.in_flight_mean
        if trial.growing or rate is None or response_ms is None or in_flight is None:
            continue
        expected = rate * (1 - (trial.error_share or 0.0)) * response_ms / 1000
        holds = abs(in_flight - expected) <= max(TOLERANCE * expected, 1.0)
        checks.append(LittleCheck(trial.rate, in_flight, expected, holds))
    return checks
