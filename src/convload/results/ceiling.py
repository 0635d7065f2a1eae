"""How far below its own ceiling the load generator ran: what `convload doctor` measured, beside what a run did."""

from typing import Annotated

import msgspec
from msgspec import Meta

NEAR = 0.8
"""From this share on a run is near enough to the ceiling for the generator to show in its figures."""


class KnownCeiling(msgspec.Struct, frozen=True):
    """The highest rate of requests that this machine was measured to generate, as a run's manifest keeps it.

    `measured` is ISO 8601 in UTC. `cores` is how many there are: beyond them more workers give no more. `at_least`:
    no rate was found that was too high, or other work disturbed the one that was.
    """

    rate_per_s: Annotated[float, Meta(gt=0)]
    workers: Annotated[int, Meta(ge=1)]
    cores: Annotated[float, Meta(gt=0)]
    measured: str
    at_least: bool = False

    def of_workers(self, workers: int) -> float:
        """Returns the rate for another number of workers: each core is worth as much as the measured ones."""
        most = max(self.cores, 1.0)
        return self.rate_per_s * min(workers, most) / min(self.workers, most)


def near_ceiling(share: float | None) -> str | None:
    """Returns the warning for a run near or above the ceiling, None for one below."""
    if share is None or share <= NEAR:
        return None
    return (
        f"the run made {100 * share:.0f} % of the requests that this machine was measured to generate: "
        "the generator itself may show in the times; take more workers or machines"
    )
