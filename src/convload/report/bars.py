"""Draws a value with its bounds and limit as a bar: SVG in the page itself, so that it prints, and needs no script."""

from markupsafe import Markup

from convload.report.document import Bar, Course

WIDTH, HEIGHT = 180, 18
_LEAST = 2


def draw(bar: Bar) -> Markup:
    """Returns the bar; hidden from screen readers, as its figures stand beside it."""
    parts = [_span("track", 0, 1, 7, 4)]
    if bar.limit is not None and bar.allows:
        ends = (0.0, bar.limit) if bar.allows == "below" else (bar.limit, 1.0)
        parts.append(_span("wanted", *ends, 7, 4))
    if bar.low is not None or bar.high is not None:
        parts.append(_span(f"bounds {bar.tone}", bar.low or 0.0, 1.0 if bar.high is None else bar.high, 5, 8))
    if bar.limit is not None:
        parts.append(_span("limit", bar.limit, bar.limit, 0, HEIGHT))
    if bar.value is not None:
        dot = Markup('<circle class="value {}" cx="{:.1f}" cy="9" r="4"/>')
        parts.append(dot.format(bar.tone, _at(bar.value)))
    head = Markup('<svg class="gauge" viewBox="0 0 {} {}" aria-hidden="true">').format(WIDTH, HEIGHT)
    return head + Markup().join(parts) + Markup("</svg>")


def course(values: Course) -> Markup:
    """Returns values over time from 0 up, as a line that is as wide as all values are many."""
    known = [value for value in values.values if value is not None]
    if not known:
        return Markup()
    top, step = max(known) or 1.0, WIDTH / max(len(values.values) - 1, 1)
    points = " ".join(
        f"{at * step:.1f},{HEIGHT - 1 - (HEIGHT - 2) * value / top:.1f}"
        for at, value in enumerate(values.values)
        if value is not None
    )
    head = Markup('<svg class="gauge small" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">')
    line = head + Markup('<polyline class="course" points="{}"/></svg>')
    return line.format(WIDTH, HEIGHT, points)


def _at(share: float) -> float:
    return 4 + (WIDTH - 8) * min(max(share, 0.0), 1.0)


def _span(kind: str, start: float, end: float, top: int, height: int) -> Markup:
    rect = Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>')
    return rect.format(kind, _at(start), top, max(_at(end) - _at(start), _LEAST), height)
