import numpy as np
import pytest
from tests.comparison.conftest import batch

from convload.comparison.batches import Batch
from convload.comparison.outcomes import REGRESSED, SAME, UNKNOWN, Difference
from convload.comparison.paired import compare_paired
from convload.comparison.single import Rule, compare_batches
from convload.errors import UsageError


def windows(seed: int, slower: float, pairs: int = 30) -> tuple[list[Batch], list[Batch]]:
    """Pairs of windows on a machine that is now fast, now slow, for both alike."""
    chance = np.random.default_rng(seed)
    sides: tuple[list[Batch], list[Batch]] = ([], [])
    for _ in range(pairs):
        machine = float(np.exp(chance.normal(0, 0.3)))
        for side, factor in zip(sides, (1.0, slower), strict=True):
            times = 20 * machine * factor * np.exp(0.3 * chance.standard_normal(400))
            side.append(batch(times, int(chance.binomial(400, 0.01)), length_s=2.0))
    return sides


def named(found: list[Difference]) -> dict[str, Difference]:
    return {one.statistic: one for one in found}


def test_noise_that_both_targets_share_cancels() -> None:
    base, new = windows(1, 1.1)
    paired = named(compare_paired(base, new, Rule(0.99), "create"))
    apart = named(compare_batches({"create": base}, {"create": new}, Rule(0.99)))

    assert paired["p50"].outcome == REGRESSED
    assert paired["p50"].relative == pytest.approx(0.1, abs=0.03)
    assert apart["p50"].outcome == UNKNOWN
    assert {one.step for one in paired.values()} == {"create"}


def test_equal_targets_are_no_different() -> None:
    found = named(compare_paired(*windows(2, 1.0, pairs=60), Rule(0.99)))

    assert found["p50"].outcome == SAME
    assert REGRESSED not in {one.outcome for one in found.values()}


def test_equal_targets_raise_hardly_any_false_alarm() -> None:
    found = [compare_paired(*windows(seed, 1.0, pairs=12), Rule(0.95)) for seed in range(6)]

    assert sum(any(one.outcome == REGRESSED for one in differences) for differences in found) <= 1


def test_windows_without_a_partner_are_refused() -> None:
    base, new = windows(1, 1.0)

    with pytest.raises(UsageError, match="A has 30 and B has 29"):
        compare_paired(base, new[:-1], Rule(0.99))


def test_too_few_pairs_cannot_tell() -> None:
    base, new = windows(1, 1.5, pairs=9)

    assert {one.why for one in compare_paired(base, new, Rule(0.99))} == {"needs 10 pairs of windows, A has 9"}
