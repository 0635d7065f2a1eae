"""The charts of a capacity search: what the target did by load, the trials in their order, the law that was fitted."""

from collections.abc import Callable
from functools import partial
from typing import Any

from convload.report.chart import Band, Chart, Limit, Line
from convload.results.capacity_result import CapacityResult, Usl

_CURVE_POINTS = 60

_CONTRADICTS = 1.1
"""A curve that promises so many times what was ever done is not drawn."""


def charts(result: CapacityResult, limit_ms: float | None) -> list[Chart]:
    """Returns the charts that stand on the page."""
    density = [_density(result)] if result.density else []
    return [*density, *_by_load(result, limit_ms), _timeline(result), *(_law() if fitted(result) else [])]


def _density(result: CapacityResult) -> Chart:
    note = f"After all trials, the most probable as 1; shaded: the {100 * result.confidence:.3g} % interval."
    lines, band = [Line("density", "probability", "c1", "area")], _band(result)
    title = "How probable each capacity is"
    return Chart("density", title, "", note, x="capacity", along="number", lines=lines, band=band)


def _by_load(result: CapacityResult, limit_ms: float | None) -> list[Chart]:
    load, band = "users" if result.saturation else "offered rate", _band(result)
    note = f"A dot a trial{'; shaded: the capacity interval' if band else ''}; dashed: the limit of p99."
    times = [Line("p50", "p50", "c1", "spots"), Line("p99", "p99", "c3", "spots")]
    limits = [] if limit_ms is None else [Limit(limit_ms, "objective")]
    said, good = "Conversations that were answered well.", [Line("good", "good", "c2", "spots")]
    if not result.saturation:
        said = "What falls below the dashed line was not answered in time, shed or failed."
        good.append(Line("rate", "offered", "c7", "thin"))
    by_rate = partial(Chart, x="rate", along="number", band=band)
    return [
        by_rate("response", f"Response by {load}", "ms", note, lines=times, limits=limits, can_log=True),
        by_rate("achieved", f"Goodput by {load}", "/s", said, lines=good),
    ]


def _timeline(result: CapacityResult) -> Chart:
    colors = {"pass": "c2", "fail": "c3", "undecided": "c6", "generator": "c7"}
    band, unit = _band(result, "y"), "users" if result.saturation else "/s"
    note = f"The load of each by when it began{'; shaded: the capacity interval' * bool(band)}."
    lines = [Line(f"trial {verdict}", verdict, color, "spots") for verdict, color in colors.items()]
    return Chart("timeline", "Trials in their order", unit, note, x="at_s", along="number", lines=lines, band=band)


def _law() -> list[Chart]:
    note = "Throughput by the mean number in flight, and the fit."
    throughput = [Line("usl measured", "measured", "c1", "spots"), Line("usl fitted", "fitted", "c3")]
    said = "Measured over fitted, in percent: a pattern tells that the law does not fit."
    residuals = [Line("usl residual", "residual", "c5", "spots")]
    by_users = partial(Chart, x="usl n", along="number")
    return [
        by_users("usl", "Scalability law", "/s", note, lines=throughput),
        by_users("residuals", "Residuals of the fit", "%", said, lines=residuals, is_signed=True),
    ]


def _band(result: CapacityResult, across: Any = "x") -> Band | None:
    bounds = result.capacity_per_s
    return None if bounds.low is None or result.saturation else Band(bounds.low, bounds.high, across)


def columns(result: CapacityResult) -> dict[str, Any]:
    """Returns the columns; trials in rising order of their load, or of their time for the timeline."""
    by_rate = sorted((trial for trial in result.trials if trial.verdict != "generator"), key=lambda trial: trial.rate)
    names = {"rate": "rate", "p50": "response_p50_ms", "p99": "response_p99_ms", "good": "goodput_per_s"}
    law = fitted(result)
    return {
        "shapes": {name: [getattr(trial, field) for trial in by_rate] for name, field in names.items()}
        | {"at_s": [trial.at_s for trial in result.trials]}
        | {"capacity": [rate for rate, _ in result.density], "density": [share for _, share in result.density]}
        | {
            f"trial {verdict}": [trial.rate if trial.verdict == verdict else None for trial in result.trials]
            for verdict in ("pass", "fail", "undecided", "generator")
        }
        | (_usl_columns(law) if law else {})
    }


def _usl_columns(law: Usl) -> dict[str, list[float | None]]:
    """Returns concurrency, measured throughput, fitted throughput and residual in percent."""
    measured = {point.concurrency: point.per_s for point in law.points}
    residuals = {point.concurrency: 100 * residual for point, residual in zip(law.points, law.residuals, strict=True)}
    highest = max(measured)
    along = sorted({*measured, *(highest * step / _CURVE_POINTS for step in range(1, _CURVE_POINTS + 1))})
    figures: dict[str, Callable[[float], float | None]] = {
        "usl measured": measured.get,
        "usl fitted": law.at,
        "usl residual": residuals.get,
    }
    columns: dict[str, list[float | None]] = {"usl n": [*along]}
    return columns | {name: [figure(n) for n in along] for name, figure in figures.items()}


def fitted(result: CapacityResult) -> Usl | None:
    """Returns the scalability law where one was fitted, and the goodput does not contradict its curve."""
    law = result.saturation.usl if result.saturation else result.usl
    if law is None or law.refused or not law.points:
        return None
    highest = max(law.points, key=lambda point: point.concurrency)
    done = max([point.per_s for point in law.points] + ([result.sustained_per_s] if result.sustained_per_s else []))
    return law if (law.at(highest.concurrency) or 0.0) <= _CONTRADICTS * done else None
