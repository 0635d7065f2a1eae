"""Turns refusals, mistakes and bodies into replies."""

from collections.abc import Sequence

import msgspec

from convload.contract.refusals import MISSING_BRAND, Refusal, bad_request
from convload.mistakes import Mistake
from convload.mock.messages import Reply

OK = 200
CREATED = 201
BAD_REQUEST = 400

_NO_BRAND = (".body.brandId", "is missing")


def json_reply(status: int, value: object) -> Reply:
    """Returns a reply whose body is `value`."""
    return Reply(status, msgspec.json.encode(value))


def refused(refusal: Refusal) -> Reply:
    """Returns a reply in the unified error form."""
    return Reply(refusal.status, refusal.body())


def unreadable(mistakes: Sequence[Mistake]) -> Reply:
    """Returns the refusal of a body with these mistakes; a missing brand has a documented code of its own."""
    if any(mistake.path.endswith(_NO_BRAND[0]) and mistake.what == _NO_BRAND[1] for mistake in mistakes):
        return refused(MISSING_BRAND)
    return refused(bad_request("; ".join(map(str, mistakes))))
