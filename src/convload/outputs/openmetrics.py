"""Writes families of figures as OpenMetrics text, by prometheus-client: a scrape's and metrics.txt."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

Sample = tuple[str, dict[str, str], float]
"""What follows the family's name, the labels, and the value."""


class Family(msgspec.Struct, frozen=True):
    """Figures of one name; `unit` is the end of it."""

    name: str
    kind: str
    text: str
    samples: list[Sample]
    unit: str = ""


class Collected:
    """What prometheus-client takes for a registry: families that hold something."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Yields them as prometheus-client has them."""
        return (metric_of(family) for family in self._families if family.samples)


def write(families: Iterable[Family]) -> str:
    """Returns the exposition, OpenMetrics 1.0."""
    from prometheus_client.openmetrics.exposition import generate_latest  # noqa: PLC0415 -- see `metric_of`

    text: bytes = generate_latest(Collected(families))
    return text.decode()


def metric_of(family: Family) -> Any:
    """Returns a family as prometheus-client has it."""
    # It brings an HTTP server with it, and whoever writes no figures need not wait for that.
    from prometheus_client.metrics_core import Metric  # noqa: PLC0415 -- loaded where it is asked for

    metric = Metric(family.name, family.text, family.kind, family.unit)
    for suffix, labels, value in family.samples:
        metric.add_sample(family.name + suffix, labels, value)
    return metric
