import os
import subprocess
import sys
from collections import Counter
from hashlib import sha256

import pytest

from convload.errors import UsageError
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue

WITHOUT_CHANCE = {"seed", "minimal"}
"""Shipped variants that hold no slot but the account."""

CHILD = """
from hashlib import sha256
from convload import bundled
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue
builder = Builder(Catalogue.read(bundled.folder("payloads")), "all", "a1", 2**63)
print(sha256(repr([builder.build(index) for index in range(300)]).encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_another_process_builds_the_same_payloads(catalogue: Catalogue, hash_seed: str) -> None:
    builder = Builder(catalogue, "all", "a1", 2**63)
    here = sha256(repr([builder.build(index) for index in range(300)]).encode()).hexdigest()

    there = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert there.stdout.strip() == here


def test_the_order_of_building_does_not_matter(catalogue: Catalogue) -> None:
    forwards, backwards = Builder(catalogue, "all"), Builder(catalogue, "all")

    one = [forwards.build(index) for index in range(300)]
    other = [backwards.build(index) for index in reversed(range(300))]

    assert one == other[::-1]


def test_seed_account_and_index_all_change_the_payload(catalogue: Catalogue) -> None:
    first = Builder(catalogue, seed=1).build_variant("customer", 1)

    assert Builder(catalogue, seed=2).build_variant("customer", 1).body != first.body
    assert Builder(catalogue, seed=1, account="other").build_variant("customer", 1).body != first.body
    assert Builder(catalogue, seed=1).build_variant("customer", 2).body != first.body


def test_a_variant_by_name_is_what_the_mix_would_have_sent(catalogue: Catalogue) -> None:
    builder = Builder(catalogue, "all")

    for index in range(300):
        payload = builder.build(index)
        assert builder.build_variant(payload.variant, index) == payload


def test_the_shares_of_a_mix_are_kept(catalogue: Catalogue) -> None:
    builder = Builder(catalogue, "default", seed=3)
    weights = catalogue.mixes["default"]
    total, built = sum(weights.values()), 40_000

    counts = Counter(builder.build(index).variant for index in range(built))

    for name, weight in weights.items():
        expected = built * weight / total
        assert abs(counts[name] - expected) < 5 * expected**0.5 + 1, name


def test_a_weight_of_0_is_never_drawn_and_a_small_one_is() -> None:
    texts = {
        f"variants/{name}.json": '{"description": "d", "payload": '
        '[{"type": "userprofile.SetUserProfile", "id": 1, "body": {}},'
        '{"type": "cm.ConsumerRequestConversation", "id": 2, "body": {"brandId": "${account}"}}]}'
        for name in "abc"
    }
    texts["mixes.toml"] = "[default]\na = 0\nb = 999\nc = 1\n"
    builder = Builder(Catalogue.from_files(texts))

    counts = Counter(builder.build(index).variant for index in range(20_000))

    assert set(counts) == {"b", "c"}
    assert 3 <= counts["c"] <= 45


def test_no_payload_repeats_where_a_variant_draws_anything(catalogue: Catalogue) -> None:
    builder = Builder(catalogue)

    for name, variant in catalogue.variants.items():
        if variant.expect == "ok" and name not in WITHOUT_CHANCE:
            payloads = (builder.build_variant(name, index) for index in range(50_000))
            assert len({hash(one.body + one.headers) for one in payloads}) == 50_000, name


def test_an_unknown_mix_or_variant_is_told_with_what_was_meant(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match=r"mix 'defualt': there is no such mix, did you mean 'default'?"):
        Builder(catalogue, "defualt")
    with pytest.raises(UsageError, match=r"variant 'skil': there is no such variant, did you mean 'skill'?"):
        Builder(catalogue).build_variant("skil", 0)
