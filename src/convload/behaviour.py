"""What the embedded mock does, as one table of settings: the `[mock]` part of a plan, the flags of `convload mock`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from convload.contract.requests import MAX_MESSAGE_ELEMENT_CHARS, Reading

Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]

FAULT_SHARES = (
    "http_4xx_share",
    "http_429_share",
    "http_5xx_share",
    "reset_share",
    "bad_json_share",
    "missing_id_share",
    "swapped_ids_share",
)
"""The shares that exclude each other: one create request has at most one of these faults."""


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting of the mock. Delays and faults meet the create call only; all the others stay fast and true.

    The event loop counts delays in whole milliseconds, so one comes out up to about a millisecond short or long.

    The description of a field is its documentation, also on the command line.
    """

    auth: Annotated[bool, Meta(description="Ask for the two tokens and check them.")] = True
    account: Annotated[str, Meta(description="Serve this account only; empty, any.")] = ""
    app_token_lifetime_s: Annotated[int, Meta(ge=1, description="Lifetime of an AppJWT, in seconds.")] = 3600
    one_open_conversation: Annotated[
        bool, Meta(description="Refuse a second open conversation of a consumer; needs auth.")
    ] = True
    refused_event: Annotated[
        Literal["omit", "bad_request"],
        Meta(description="What a message element gets when its conversation is refused (assumed)."),
    ] = "omit"
    any_order: Annotated[bool, Meta(description="Accept the elements of a create in any order.")] = False
    strict: Annotated[
        bool, Meta(description="Also hold TTR names, skill digits and kind, which known clients disregard.")
    ] = False
    max_message_chars: Annotated[
        int, Meta(ge=1, description="Longest message element or send request, in characters.")
    ] = MAX_MESSAGE_ELEMENT_CHARS

    delay_ms: Annotated[Milliseconds, Meta(description="Fixed service time of a create, in milliseconds.")] = 0.0
    lognormal_median_ms: Annotated[
        Milliseconds, Meta(description="Median of a log-normal service time that is added, in milliseconds.")
    ] = 0.0
    lognormal_sigma: Annotated[
        float, Meta(ge=0, le=10, description="Sigma of the logarithm of that time; 0 makes it constant.")
    ] = 0.5
    delay_cap_ms: Annotated[Milliseconds, Meta(description="No service time is longer, in milliseconds.")] = 60_000.0

    http_4xx_share: Annotated[Share, Meta(description="Share of creates answered with the 4xx status.")] = 0.0
    http_4xx_status: Annotated[int, Meta(ge=400, le=499, description="The status of these answers.")] = 400
    http_429_share: Annotated[Share, Meta(description="Share of creates answered with 429.")] = 0.0
    http_5xx_share: Annotated[Share, Meta(description="Share of creates answered with the 5xx status.")] = 0.0
    http_5xx_status: Annotated[int, Meta(ge=500, le=599, description="The status of these answers.")] = 502
    reset_share: Annotated[
        Share, Meta(description="Share of creates whose connection is reset (RST) in place of an answer.")
    ] = 0.0
    bad_json_share: Annotated[
        Share, Meta(description="Share of creates that succeed but are answered with broken JSON.")
    ] = 0.0
    missing_id_share: Annotated[
        Share, Meta(description="Share of creates that succeed but are answered without conversationId.")
    ] = 0.0
    swapped_ids_share: Annotated[
        Share, Meta(description="Share of creates that succeed but are answered with reqIds swapped.")
    ] = 0.0
    seed: Annotated[int, Meta(ge=0, description="Seed of delays and faults; request k is always the same.")] = 0

    read_timeout_s: Annotated[Seconds, Meta(description="Time for a request to come in whole, in seconds.")] = 30.0
    idle_timeout_s: Annotated[Seconds, Meta(description="Time that a quiet connection is kept, in seconds.")] = 300.0
    max_body_bytes: Annotated[int, Meta(ge=1, description="Longest request body, in bytes.")] = 1_048_576

    def __post_init__(self) -> None:
        total = sum(getattr(self, name) for name in FAULT_SHARES)
        if total > 1 + 1e-9:
            raise ValueError(f"the shares of faults add up to {total:g}; at most 1 is allowed")

    @property
    def reading(self) -> Reading:
        """How request arrays are read."""
        return Reading(any_order=self.any_order, strict=self.strict, max_message_chars=self.max_message_chars)
