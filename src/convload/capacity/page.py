"""Renders capacity.html: one file that needs nothing else; its first screen answers how much, how sure and why."""

import functools
import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from convload.capacity.figures import objective_line, overload_rows, trial_rows, usl_lines
from convload.capacity.github import OUTCOMES
from convload.report import html
from convload.report.untrusted import visible
from convload.results.capacity_result import CapacityResult, Usl

_HERE = Path(__file__).parent
_CURVE_POINTS = 60


def render(result: CapacityResult, limit_ms: float | None = None) -> str:
    """Returns the page. `limit_ms` is the objective's limit of the p99 response, drawn as a line if there is one."""
    style, scripts = html.assets()
    own = [scripts[0], Markup((_HERE / "assets" / "capacity.js").read_text("utf-8").strip())]  # noqa: S704 -- our file
    hashes = " ".join(html.content_hash(script) for script in own)
    return _template().render(
        result=result,
        outcome=OUTCOMES[result.exit_code],
        line=objective_line(result),
        trials=trial_rows(result),
        overload=overload_rows(result) if result.overload else [],
        laws=usl_lines(result),
        style=style,
        scripts=own,
        policy=f"default-src 'none'; style-src {html.content_hash(style)}; script-src {hashes}; base-uri 'none'",
        data=_embedded(data(result, limit_ms)),
    )


def _embedded(value: dict[str, Any]) -> Markup:
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 -- without < it cannot end its element


def data(result: CapacityResult, limit_ms: float | None) -> dict[str, Any]:
    """Returns the columns of the charts; trials in rising order of their load, or of their time for the timeline."""
    by_rate = sorted((trial for trial in result.trials if trial.verdict != "generator"), key=lambda trial: trial.rate)
    fitted = result.saturation.usl if result.saturation else result.usl
    return {
        "low": result.capacity_per_s.low,
        "high": result.capacity_per_s.high,
        "limit_ms": limit_ms,
        "response": [
            [trial.rate for trial in by_rate],
            [trial.response_p50_ms for trial in by_rate],
            [trial.response_p99_ms for trial in by_rate],
        ],
        "achieved": [
            [trial.rate for trial in by_rate],
            [trial.rate for trial in by_rate],
            [trial.goodput_per_s for trial in by_rate],
        ],
        "timeline": [
            [trial.at_s for trial in result.trials],
            *(
                [trial.rate if trial.verdict == outcome else None for trial in result.trials]
                for outcome in ("pass", "fail", "undecided", "generator")
            ),
        ],
        "usl": _usl_columns(fitted) if fitted and not fitted.refused else None,
    }


def _usl_columns(fitted: Usl) -> list[list[float | None]]:
    """Returns concurrency, measured throughput, fitted throughput and residual in percent."""
    measured = {point.concurrency: point.per_s for point in fitted.points}
    residuals = {
        point.concurrency: 100 * residual for point, residual in zip(fitted.points, fitted.residuals, strict=True)
    }
    highest = max(measured)
    along = sorted({*measured, *(highest * step / _CURVE_POINTS for step in range(1, _CURVE_POINTS + 1))})
    return [
        [*along],
        [measured.get(n) for n in along],
        [fitted.at(n) for n in along],
        [residuals.get(n) for n in along],
    ]


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("capacity.html")


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
