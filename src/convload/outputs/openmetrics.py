"""Writes families of figures as OpenMetrics text, by prometheus-client: a scrape's and metrics.txt."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import msgspec

CLOCKS_SAID = {"response": "Due to answered", "service": "Sent to answered", "lateness": "Due to sent"}

Sample = tuple[str, dict[str, str], float]
"""What follows the family's name, the labels, and the value."""


class Family(msgspec.Struct, frozen=True):
    """Figures of one name; `unit` is the end of it."""

    name: str
    kind: str
    text: str
    samples: list[Sample]
    unit: str = ""


def write(families: Iterable[Family]) -> str:
    """Returns the exposition, OpenMetrics 1.0, of families that hold something."""
    from prometheus_client.openmetrics.exposition import generate_latest  # noqa: PLC0415 -- see `metric_of`

    metrics = (metric_of(family) for family in families if family.samples)
    text: bytes = generate_latest(SimpleNamespace(collect=lambda: metrics))
    return text.decode()


def metric_of(family: Family) -> Any:
    """Returns a family as prometheus-client has it."""
    # It brings an HTTP server with it, and whoever writes no figures need not wait for that.
    from prometheus_client.metrics_core import Metric  # noqa: PLC0415 -- loaded where it is asked for

    metric = Metric(family.name, family.text, family.kind, family.unit)
    for suffix, labels, value in family.samples:
        metric.add_sample(family.name + suffix, labels, value)
    return metric
