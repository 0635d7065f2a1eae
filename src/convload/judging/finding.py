"""What a rule of validity found."""

import msgspec

from convload.plan.limits import ReasonName


class Finding(msgspec.Struct, frozen=True):
    """One thing that a rule found, with its figures."""

    name: ReasonName
    text: str
