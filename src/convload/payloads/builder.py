"""Builds payloads: a pure function of the files, the seed and the index."""

import struct
from bisect import bisect_right
from itertools import accumulate

from convload.errors import UsageError
from convload.mistakes import suggest
from convload.payloads.catalogue import Catalogue
from convload.payloads.payload import Payload, bind, random_bits

__all__ = ["Builder", "Payload"]

_choice = struct.Struct("<I").unpack_from
_CHOICES = 2**32


class Builder:
    """Builds the payloads of one mix; raises UsageError where there is no such mix.

    The same seed, 0 to 2**64 - 1, gives the same payloads in every process and on every machine.
    """

    def __init__(self, catalogue: Catalogue, mix: str = "default", account: str = "12345678", seed: int = 7) -> None:
        if mix not in catalogue.mixes:
            raise UsageError(f"mix {mix!r}: there is no such mix{suggest(mix, catalogue.mixes)}")
        weights = catalogue.mixes[mix]
        sums = list(accumulate(weights.values()))
        self._seed = seed
        self._makes = {name: bind(variant, account) for name, variant in catalogue.variants.items()}
        self._chosen = [self._makes[name] for name in weights]
        self._limits = [round(part / sums[-1] * _CHOICES) for part in sums[:-1]]

    def build(self, index: int) -> Payload:
        """Returns payload `index` (0 to 2**64 - 1) of the mix."""
        bits = random_bits(self._seed, index)
        return self._chosen[bisect_right(self._limits, _choice(bits)[0])](index, bits)

    def build_variant(self, name: str, index: int) -> Payload:
        """Returns payload `index` as it is where the mix chooses that variant; raises UsageError for an unknown one."""
        if name not in self._makes:
            raise UsageError(f"variant {name!r}: there is no such variant{suggest(name, self._makes)}")
        return self._makes[name](index, random_bits(self._seed, index))
