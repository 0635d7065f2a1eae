"""A change of the bytes that a seed gives must be seen: old runs cannot be shown again after it.

Where such a change is meant, write the file anew and say so in the changelog:

    CONVLOAD_REFRESH_GOLDEN=1 pytest tests/payloads/test_golden.py
"""

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from convload.payloads.builder import Builder, Payload
from convload.payloads.catalogue import Catalogue

GOLDEN = Path(__file__).parent / "golden.txt"
REFRESH = "CONVLOAD_REFRESH_GOLDEN" in os.environ


def digest(payloads: Iterable[Payload]) -> str:
    whole = sha256()
    for one in payloads:
        whole.update(
            b"\n".join(
                [one.variant.encode(), one.expect.encode(), one.body, one.headers, repr(one.reply_ids).encode(), b""]
            )
        )
    return whole.hexdigest()


def lines(catalogue: Catalogue) -> list[str]:
    builder = Builder(catalogue, "default", "12345678", seed=7)
    mix = f"mix default 0-999 {digest(builder.build(index) for index in range(1000))}"
    return [mix] + [
        f"variant {name} 0-99 {digest(builder.build_variant(name, index) for index in range(100))}"
        for name in catalogue.variants
    ]


def test_the_same_seed_gives_the_same_bytes_as_ever(catalogue: Catalogue) -> None:
    found = lines(catalogue)
    if REFRESH:
        GOLDEN.write_text("\n".join(found) + "\n")
        pytest.skip(f"{GOLDEN.name} was written anew")

    assert found == GOLDEN.read_text().splitlines(), "meant? see the head of this file"
