"""Counts what came in and what was answered, so that a client's own figures can be reconciled with the mock's."""

import msgspec
from msgspec import UNSET

from convload.contract.requests import ConversationElement, ConversationRequest, Element, Profile, SetProfileElement
from convload.mock.messages import Reply
from convload.mock.replies import FIRST_REFUSAL

ENDPOINTS = ("domain", "app_token", "consumer_token", "create", "send", "close", "other")
"""Where requests are counted; `close` is the send call that closes, `other` whatever has no endpoint."""


class Tally(msgspec.Struct):
    """The requests to one endpoint: `accepted` did what they asked for, whatever the answer then looked like.

    A request that is answered with a reset, or not at all, has no status.
    """

    received: int = 0
    accepted: int = 0
    by_status: dict[int, int] = {}

    def count(self, reply: Reply) -> Reply:
        """Counts a request by its reply, and returns that."""
        self.received += 1
        status = reply.status
        self.accepted += reply.done or 0 < status < FIRST_REFUSAL
        if not (reply.resets or reply.stalls):
            self.by_status[status] = self.by_status.get(status, 0) + 1
        return reply


class Ledger:
    """All counts of one mock. It keeps numbers only, so it does not grow."""

    def __init__(self) -> None:
        self.tallies = {name: Tally() for name in ENDPOINTS}
        self._shapes = [0] * (1 << len(PARTS))

    def count_shape(self, elements: list[Element]) -> None:
        """Counts an accepted create by the optional parts that it has."""
        parts = 0
        for element in elements:
            # An isinstance() that is false costs three times as much on a struct.
            if type(element) is SetProfileElement:
                parts |= _profile_parts(element.body)
            elif type(element) is ConversationElement:
                parts |= _conversation_parts(element.body)
            else:
                parts |= _EVENT
        self._shapes[parts] += 1

    def shown_shapes(self) -> dict[str, int]:
        """Returns the accepted creates by their shape in words, such as `3 elements, flat_profile, skill`."""
        return {_describe(parts): count for parts, count in enumerate(self._shapes) if count}


PARTS = ("event", "sdes", "flat_profile", "channel", "ttr", "campaign", "skill", "context")
_EVENT, _SDES, _FLAT, _CHANNEL, _TTR, _CAMPAIGN, _SKILL, _CONTEXT = (1 << bit for bit in range(len(PARTS)))


def _profile_parts(profile: Profile) -> int:
    has_sdes = bool(profile.authenticated_data and profile.authenticated_data.lp_sdes)
    # Spelled out: a loop over the names costs a microsecond on every request.
    is_flat = not (
        profile.first_name is UNSET
        and profile.last_name is UNSET
        and profile.private_data is UNSET
        and profile.user_id is UNSET
        and profile.avatar_url is UNSET
        and profile.role is UNSET
        and profile.backgnd_img_uri is UNSET
        and profile.description is UNSET
    )
    return (has_sdes and _SDES) | (is_flat and _FLAT)


def _conversation_parts(request: ConversationRequest) -> int:
    return (
        (request.channel_type is not UNSET and _CHANNEL)
        | (request.ttr_def_name is not UNSET and _TTR)
        | (request.campaign_info is not UNSET and _CAMPAIGN)
        | (request.skill_id is not UNSET and _SKILL)
        | (request.conversation_context is not UNSET and _CONTEXT)
    )


def _describe(parts: int) -> str:
    present = [name for bit, name in enumerate(PARTS) if parts >> bit & 1]
    return ", ".join([f"{3 if parts & _EVENT else 2} elements", *present])
