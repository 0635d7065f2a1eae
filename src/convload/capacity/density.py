"""How probable each capacity is after a search, as points of a curve."""

from convload.capacity.posterior import Posterior


def density(found: Posterior | None) -> list[tuple[float, float]]:
    """Returns loads and their probability relative to the most probable; nothing where no trial went either way."""
    if found is None:
        return []
    top = max(found.weights)
    pairs = zip(found.loads, found.weights, strict=True)
    return [(float(f"{load:.5g}"), round(weight / top, 4)) for load, weight in pairs]
