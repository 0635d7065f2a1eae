"""What the embedded mock does, as one table of settings: the `[mock]` part of a plan, the flags of `convload mock`."""

import re
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from convload.contract.requests import MAX_MESSAGE_ELEMENT_CHARS, Reading
from convload.mistakes import checks_of
from convload.plan.durations import parse_duration_s, parse_whole_seconds
from convload.plan.service_times import ServiceTime, parse_service_time

Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]

_PART = re.compile(r"0|1|0?\.\d+")
FAULT_STEPS = ("create", "send", "close", "app_token", "consumer_token", "domain")
"""The calls that faults can meet, as `/__mock__/stats` names them."""

EARLIER = ("delay_ms", "lognormal_median_ms", "lognormal_sigma", "delay_cap_ms")
"""What an earlier version wrote in place of `service_time`."""

UNLIMITED = -1
"""The `queue` that takes any number."""

NEARLY_ALL = 1 - 1e-6
"""The share of service times that a cap must have let pass to have meant nothing."""


def _check_service_time(text: str) -> None:
    if text:
        parse_service_time(text)


def fault_steps_of(text: str) -> dict[str, float]:
    """Returns the steps of a text such as "create, close=0.1", and what part of the shares each has.

    Raises:
        ValueError: it names a step that there is not, or a part that is none.
    """
    steps: dict[str, float] = {}
    for written in text.split(","):
        step, _, part = (word.strip() for word in written.partition("="))
        if step not in FAULT_STEPS:
            raise ValueError(f"{step!r} is no step; allowed, divided by commas: {', '.join(FAULT_STEPS)}")
        if "=" in written and not _PART.fullmatch(part):
            raise ValueError(f"{written.strip()!r}: the part of the shares that a step has is from 0 to 1: {step}=0.1")
        steps[step] = float(part or 1)
    return steps


def _says(text: str) -> Meta:
    return Meta(description=text)


ServiceTimeText = Annotated[str, Meta(extra={"check": _check_service_time})]
Duration = Annotated[str, Meta(extra={"check": parse_duration_s})]


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every setting of the mock. Service times and servers meet the create call only, faults those of `fault_steps`.

    The event loop counts delays in whole milliseconds, so one comes out up to about a millisecond short or long;
    service times of `servers` are kept by a finer timer.

    The description of a field is its documentation, also on the command line.
    """

    auth: Annotated[bool, _says("Ask for the two tokens and check them.")] = True
    account: Annotated[str, _says("Serve this account only; empty, any.")] = ""
    app_token_lifetime_s: Annotated[int, Meta(ge=1, description="Lifetime of an AppJWT, in seconds.")] = 3600
    one_open_conversation: Annotated[bool, _says("Refuse a second open conversation of a consumer; needs auth.")] = True
    refused_event: Annotated[
        Literal["omit", "bad_request"],
        _says("What a message element gets when its conversation is refused (assumed)."),
    ] = "omit"
    any_order: Annotated[bool, _says("Accept the elements of a create in any order.")] = False
    strict: Annotated[bool, _says("Also hold TTR names, skill digits and kind, which known clients disregard.")] = False
    require_client_properties: Annotated[
        bool, _says("Refuse a send or close without Client-Properties where its create had them.")
    ] = False
    max_message_chars: Annotated[
        int, Meta(ge=1, description="Longest message element or send request, in characters.")
    ] = MAX_MESSAGE_ELEMENT_CHARS

    servers: Annotated[
        int, Meta(ge=0, le=100_000, description="Virtual servers that creates queue for; 0: none waits for another.")
    ] = 0
    service_time: Annotated[
        ServiceTimeText,
        Meta(
            description="How long a create takes: constant(20ms), exponential(20ms), lognormal(20ms, 0.4), "
            "gamma(20ms, 2), empirical(FILE), or 5ms + one of them; empty, no time."
        ),
    ] = ""
    queue: Annotated[
        int, Meta(ge=UNLIMITED, le=10_000, description="Most creates that wait for a server; -1: any number.")
    ] = UNLIMITED
    shed: Annotated[Literal[429, 503], _says("The status of a create that finds the queue full (assumed).")] = 429
    retry_after: Annotated[
        str,
        Meta(
            description="Its Retry-After, in whole seconds; 0s: none (assumed).", extra={"check": parse_whole_seconds}
        ),
    ] = "1s"
    usl_sigma: Annotated[
        float, Meta(ge=0, le=10, description="Contention of the Universal Scalability Law among requests in service.")
    ] = 0.0
    usl_kappa: Annotated[float, Meta(ge=0, le=10, description="Coherency of that law.")] = 0.0
    degrade: Annotated[
        float, Meta(ge=0, le=1000, description="Services take 1 + degrade x waiting / servers times as long.")
    ] = 0.0
    degrade_cap: Annotated[float, Meta(ge=1, le=1000, description="The most that this makes of it, times.")] = 10.0
    stall_every: Annotated[Duration, _says("Period of stalls, in which no server moves on; 0s: none.")] = "0s"
    stall_for: Annotated[Duration, _says("Length of a stall, at the end of its period.")] = "0s"
    slow_start_factor: Annotated[
        float, Meta(ge=1, le=1000, description="How many times as long the first service after idleness takes.")
    ] = 1.0
    slow_start_for: Annotated[Duration, _says("Time in which that factor falls to 1.")] = "10s"
    slow_start_idle: Annotated[Duration, _says("Time without any create that makes the servers cold again.")] = "10s"

    fault_steps: Annotated[
        str,
        Meta(
            description="The calls that faults meet, divided by commas: create, send, close, app_token, "
            "consumer_token, domain; close=0.1 meets them a tenth as often.",
            extra={"check": fault_steps_of},
        ),
    ] = "create"
    http_4xx_share: Annotated[Share, _says("Share of requests answered with the 4xx status.")] = 0.0
    http_4xx_status: Annotated[int, Meta(ge=400, le=499, description="The status of these answers.")] = 400
    http_429_share: Annotated[Share, _says("Share of requests answered with 429.")] = 0.0
    http_5xx_share: Annotated[Share, _says("Share of requests answered with the 5xx status.")] = 0.0
    http_5xx_status: Annotated[int, Meta(ge=500, le=599, description="The status of these answers.")] = 502
    reset_share: Annotated[Share, _says("Share of requests whose connection is reset (RST) in place of an answer.")] = (
        0.0
    )
    bad_json_share: Annotated[Share, _says("Share of requests that succeed but are answered with broken JSON.")] = 0.0
    missing_id_share: Annotated[
        Share, _says("Share of creates that succeed but are answered without conversationId.")
    ] = 0.0
    swapped_ids_share: Annotated[
        Share, _says("Share of creates that succeed but are answered with reqIds swapped.")
    ] = 0.0
    done_status_share: Annotated[
        Share, _says("Share of requests that succeed but are answered with the status of --done-status.")
    ] = 0.0
    done_status: Annotated[int, Meta(ge=201, le=599, description="The status of these answers.")] = 504
    done_reset_share: Annotated[Share, _says("Share of requests that succeed but whose connection is reset.")] = 0.0
    done_stall_share: Annotated[Share, _says("Share of requests that succeed but are never answered.")] = 0.0
    seed: Annotated[int, Meta(ge=0, description="Seed of service times and faults; request k is always the same.")] = 0

    read_timeout_s: Annotated[Seconds, _says("Time for a request to come in whole, in seconds.")] = 30.0
    idle_timeout_s: Annotated[Seconds, _says("Time that a quiet connection is kept, in seconds.")] = 300.0
    max_body_bytes: Annotated[int, Meta(ge=1, description="Longest request body, in bytes.")] = 1_048_576

    # Read for one more version, and still written beside `service_time` for readers of that version.
    delay_ms: Annotated[Milliseconds, _says("Write service_time.")] = 0.0
    lognormal_median_ms: Annotated[Milliseconds, _says("Write service_time.")] = 0.0
    lognormal_sigma: Annotated[float, Meta(ge=0, le=10, description="Write service_time.")] = 0.5
    delay_cap_ms: Annotated[Milliseconds, _says("Nothing is capped any more.")] = 60_000.0

    def __post_init__(self) -> None:
        problems = list(self._text_problems()) or list(self._rules_between())
        if problems:
            raise ValueError("\n".join(problems))
        if not self.servers:
            text = service_time_of(msgspec.structs.asdict(self))
            for name, value in {"service_time": text, **_in_earlier_keys(text)}.items():
                msgspec.structs.force_setattr(self, name, value)

    def _text_problems(self) -> Iterator[str]:
        for name, checks in _CHECKED.items():
            for check in checks:
                try:
                    check(getattr(self, name))
                except ValueError as error:
                    yield f".{name}: {error}"

    def _rules_between(self) -> Iterator[str]:
        total = sum(getattr(self, name) for name in FAULT_SHARES)
        if total > 1 + 1e-9:
            yield f"the shares of faults add up to {total:g}; at most 1 is allowed"
        yield from self._rules_of_service_time()
        yield from self._rules_of_servers() if self.servers else self._rules_without_servers()

    def _rules_of_service_time(self) -> Iterator[str]:
        given = [name for name in EARLIER[:2] if getattr(self, name)]
        if self.servers or self.service_time:
            same = {} if self.servers else _in_earlier_keys(self.service_time)
            for name in given:
                if getattr(self, name) != same.get(name):
                    yield f".{name}: an earlier version wrote it for service_time; leave it out beside that or servers"
        elif given:
            longest_s = parse_service_time(service_time_of(msgspec.structs.asdict(self))).quantile_s(NEARLY_ALL)
            if self.delay_cap_ms < longest_s * 1000:
                yield ".delay_cap_ms: service times are not cut any more; leave it out"

    def _rules_without_servers(self) -> Iterator[str]:
        for name in QUEUE_SETTINGS:
            if getattr(self, name) != _DEFAULTS[name]:
                yield f".{name}: is for a mock with servers; set servers to 1 or more"

    def _rules_of_servers(self) -> Iterator[str]:
        if not self.service_time:
            yield ".service_time: is needed with servers, such as exponential(20ms)"
        if self.queue == UNLIMITED:
            for name in ("shed", "retry_after"):
                if getattr(self, name) != _DEFAULTS[name]:
                    yield f".{name}: needs a queue with a limit; set queue to 0 or more"
        every_s, for_s = parse_duration_s(self.stall_every), parse_duration_s(self.stall_for)
        if bool(every_s) != bool(for_s):
            yield ".stall_every: needs stall_for, and the other way round; neither may be 0s alone"
        elif for_s and for_s >= every_s:
            yield f".stall_for: {self.stall_for} is not shorter than stall_every, {self.stall_every}"
        if self.slow_start_factor > 1 and not parse_duration_s(self.slow_start_for):
            yield ".slow_start_for: must be more than 0s for a slow start"

    @property
    def service(self) -> ServiceTime:
        """How long a create takes, its file read where it has one; raises ValueError where it takes no time."""
        return parse_service_time(self.service_time)

    @property
    def reading(self) -> Reading:
        """How request arrays are read."""
        return Reading(any_order=self.any_order, strict=self.strict, max_message_chars=self.max_message_chars)


FAULT_SHARES = tuple(name for name in Behaviour.__struct_fields__ if name.endswith("_share"))
"""The shares that exclude each other: one request has at most one of these faults."""

QUEUE_SETTINGS = tuple(
    name
    for name in Behaviour.__struct_fields__
    if name.startswith(("queue", "shed", "retry_after", "usl_", "degrade", "stall_", "slow_start_"))
)
"""The settings that mean something with `servers` only."""


def service_time_of(settings: Mapping[str, Any]) -> str:
    """Returns the service time of these settings, also where it is written as an earlier version did."""
    if text := settings.get("service_time"):
        return str(text)
    fixed_ms, median_ms = settings.get("delay_ms") or 0.0, settings.get("lognormal_median_ms") or 0.0
    if not median_ms:
        return f"constant({_shown(fixed_ms)})" if fixed_ms else ""
    text = f"lognormal({_shown(median_ms)}, {settings.get('lognormal_sigma', 0.5):.12g})"
    return f"{_shown(fixed_ms)} + {text}" if fixed_ms else text


def hint_of(settings: Mapping[str, Any], *, as_flags: bool = False) -> str:
    """Returns what to write in place of the keys of an earlier version, where some are among these settings."""
    written = ", ".join(flag_of(name) if as_flags else name for name in EARLIER if name in settings)
    if not written:
        return ""
    text = service_time_of(settings)
    instead = f"--service-time '{text}'" if as_flags else f'service_time = "{text}"'
    return f"{written}: read for one more version; " + (f"write {instead}" if text else "leave it out")


def flag_of(name: str) -> str:
    """Returns the option of `convload mock` for a setting."""
    return "--" + name.replace("_", "-")


def _in_earlier_keys(service_time: str) -> dict[str, float]:
    """Returns a service time in the keys of an earlier version, or what meant none where they cannot say it."""
    fixed_s = median_s = 0.0
    sigma = _DEFAULTS["lognormal_sigma"]
    if "constant" in service_time or "lognormal" in service_time:
        service = parse_service_time(service_time)
        if service.kind == "lognormal":
            fixed_s, (median_s, sigma) = service.shift_s, service.parameters
        elif service.kind == "constant":
            fixed_s = service.mean_s
    found = {"delay_ms": fixed_s * 1000, "lognormal_median_ms": median_s * 1000, "lognormal_sigma": sigma}
    return {name: round(value, 9) for name, value in found.items()}


def _shown(time_ms: float) -> str:
    return f"{time_ms:.9f}".rstrip("0").rstrip(".") + "ms"


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Behaviour)}
_CHECKED = {
    name: checks
    for name, hint in typing.get_type_hints(Behaviour, include_extras=True).items()
    if (checks := checks_of(hint))
}
