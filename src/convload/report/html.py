"""Renders report.html: one file that needs nothing else, no network and no build."""

import base64
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from convload.comparison.conclusion import Conclusion
from convload.contract.outcomes import MEANINGS
from convload.contract.steps import CREATE
from convload.plan.facts import OPEN
from convload.report import charts, differences, figures, steadiness
from convload.report.untrusted import brief, visible

_HERE = Path(__file__).parent
_SAMPLES_A_KIND = 5

_Groups = dict[str, tuple[str, ...]]
"""The columns of a table under the name of their clock."""

_CLOSED_GROUPS: _Groups = {"response": figures.COLUMNS}
_OPEN_GROUPS: _Groups = {"response": figures.COLUMNS, "service": ("p50", "p99"), "lateness": ("p99",)}
_STAGE_GROUPS: _Groups = {"response": ("p50", "p95", "p99", "max"), "service": ("p50", "p99"), "lateness": ("p99",)}

_KEY = ("p50", "p95", "p99")


def render(conclusion: Conclusion) -> str:
    """Returns the page. Every string that goes into it is made visible and escaped; only our own assets are not."""
    style, scripts = assets()
    groups = _OPEN_GROUPS if conclusion.summary.model == OPEN else _CLOSED_GROUPS
    return template("report.html").render(
        conclusion=conclusion,
        summary=conclusion.summary,
        create=conclusion.summary.steps.get(CREATE),
        is_open=conclusion.summary.model == OPEN,
        groups=groups,
        stage_groups=_STAGE_GROUPS,
        columns={"all": _flat(groups), "stages": _flat(_STAGE_GROUPS), "key": _flat({"response": _KEY})},
        errors=_errors(conclusion),
        plan=_plain(conclusion.manifest.plan),
        versions=_plain(conclusion.manifest.versions),
        machine=_plain(conclusion.manifest.machine),
        figures=figures,
        steadiness=steadiness,
        differences=differences,
        style=style,
        scripts=scripts,
        policy=policy(style, scripts),
        data=embedded(charts.data(conclusion)),
        has={
            "seconds": bool(conclusion.series),
            "times": any(row.response_ms for row in conclusion.series),
            "turns": bool(conclusion.turns and any("p50" in turn.response_ms for turn in conclusion.turns.turns)),
            "lateness": any(row.lateness_ms for row in conclusion.series),
            "errors": any(row.errors_per_s for row in conclusion.series),
            "distributions": any(part.ms for part in conclusion.distributions),
        },
    )


def assets() -> tuple[Markup, list[Markup]]:
    """Returns the style and the scripts that are copied into every page."""
    style = asset("uplot/uPlot.min.css") + asset("report.css")
    return style, [asset("uplot/uPlot.iife.min.js"), asset("report.js")]


def content_hash(text: str) -> str:
    """Returns what names a script or style in a content security policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@functools.cache
def template(name: str) -> jinja2.Template:
    """Returns a template into which every string goes visible and escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """Makes every string visible on its way into the page, so that none can be forgotten; keeps its % with it."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return visible(value).replace(" %", "\N{NO-BREAK SPACE}%")


def asset(name: str) -> Markup:
    """Returns a file of ours that is copied into pages as it is."""
    return Markup((_HERE / "assets" / name).read_text("utf-8").strip())  # noqa: S704 -- a file of ours


def policy(style: Markup, scripts: list[Markup]) -> str:
    """Returns a policy under which the page loads nothing and runs only the scripts that are in it now."""
    hashes = " ".join(content_hash(script) for script in scripts)
    return (
        f"default-src 'none'; style-src {content_hash(style)}; script-src {hashes}; base-uri 'none'; form-action 'none'"
    )


def embedded(value: dict[str, Any]) -> Markup:
    """Returns data as JSON that can stand in a script element."""
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 -- without < it cannot end its element


def _flat(groups: _Groups) -> list[figures.TimeColumn]:
    return [(clock, name) for clock, names in groups.items() for name in names]


def _plain(values: dict[str, Any]) -> dict[str, str]:
    return {key: brief(value if isinstance(value, str) else json.dumps(value)) for key, value in values.items()}


def _errors(conclusion: Conclusion) -> list[dict[str, Any]]:
    """Returns one row an error kind of a step, with what it means and some samples."""
    return [
        {
            "step": step,
            "kind": kind,
            "count": count,
            "share": figures.percent(count, requests.count),
            "meaning": MEANINGS.get("http_<status>" if kind.startswith("http_") else kind, ""),
            "samples": [
                (sample, brief(sample.detail))
                for sample in conclusion.samples
                if (sample.step, sample.outcome) == (step, kind)
            ][:_SAMPLES_A_KIND],
        }
        for step, requests in conclusion.summary.steps.items()
        for kind, count in requests.errors.items()
    ]
