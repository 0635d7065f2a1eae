"""The plan: the frozen configuration of one run, from a TOML file, the environment and flags."""

import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from convload.addresses import split_origin
from convload.errors import TargetError, UsageError
from convload.machine import workers_for_all_cores
from convload.plan.durations import parse_duration_s, parse_think
from convload.plan.facts import ValidityLimits
from convload.plan.gate import Vocabulary, WrittenGate
from convload.plan.gate_keys import (
    baseline_gate_mistakes,
    gate_mistakes,
    parsed,
    variants_of,
    written_conditions,
    written_gates,
)
from convload.plan.merging import merge
from convload.plan.mock_behaviour import Behaviour, hint_of
from convload.plan.retry import RetryPolicy
from convload.plan.schedule import SHORTEST_WINDOW_S, WINDOW_ORDER, Stage, StageMark
from convload.plan.sources import DURATIONS, FLAGS, Source, check, from_environment, from_file
from convload.plan.stages import StageSpec, alternating_windows, resolve, window_s

MOCK = "mock"
"""The target that stands for the embedded mock."""

AUTO = "auto"
DEFAULT_DURATION_S = 30.0
DEFAULT_WARMUP_S = 5.0

Seconds = Annotated[float, Meta(ge=0, le=7 * 86400)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=7 * 86400)]
Gate = Annotated[str, Meta(max_length=500)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]
Tag = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.-]+=[^\x00-\x1f]*$", max_length=200, description="KEY=VALUE, as in branch=main")
]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is run; docs/plan.md explains every key. Keys in `_s` are written without it, with a unit."""

    name: Word = "run"
    tags: list[Tag] = []
    target: Word = MOCK
    target_b: Word | None = None
    window_s: PositiveSeconds | None = None
    account: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="letters, digits, - and _, 64 of them at most")
    ] = "12345678"
    lookup: bool = False
    allow_hosts: list[Word] = []
    source_addresses: list[Word] = []
    ca_file: str | None = None
    verify_tls: bool = True
    insecure: bool = False
    credentials_file: str | None = None

    model: Literal["closed", "open"] | None = None
    rate: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    arrivals: Literal["even", "poisson"] = "poisson"
    stages: list[StageSpec] = []
    replay: str | None = None
    max_in_flight: Annotated[int, Meta(ge=1, le=100_000)] = 2000
    users: Annotated[int, Meta(ge=1, le=100_000)] = 10
    ramp_s: Seconds = 0.0
    think: str = "none"
    duration_s: PositiveSeconds | None = None
    conversations: Annotated[int, Meta(ge=1)] | None = None
    warmup_s: Seconds | None = None
    drain_s: Seconds = 30.0

    workers: Annotated[int, Meta(ge=1, le=2000)] = 1
    on_lost_worker: Literal["take_over", "stop"] = "take_over"
    on_full: Literal["continue", "stop"] = "continue"
    locustfile: str | None = None
    payloads: str | None = None
    mix: Word = "default"
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1

    consumers: Literal["close", "fresh", "pool", "none"] = "close"
    pool_size: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    connect_timeout_s: PositiveSeconds = 5.0
    timeout_s: PositiveSeconds = 30.0
    retry: RetryPolicy = RetryPolicy()
    traced: Annotated[float, Meta(ge=0, le=1)] = 0.0

    gates: list[Gate] = []
    baseline_gates: list[Gate] = []
    gates_file: str | None = None
    confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.99
    independent: bool = False
    extend_s: Seconds = 0.0
    interactive: bool = False
    abort_when: list[Gate] = []
    baseline: str | None = None

    mock: Behaviour = Behaviour()
    validity: ValidityLimits = ValidityLimits()

    @property
    def ends_after_s(self) -> float | None:
        """When users stop starting conversations, counted from the start; None when something else ends the run."""
        return None if self.duration_s is None else (self.warmup_s or 0.0) + self.duration_s

    @property
    def in_clear_text(self) -> list[str]:
        """Hosts beyond this machine that are called by http; what a look-up names has rules of its own."""
        targets = [] if self.lookup else [split_origin(target) for target in (self.target, self.target_b or "")]
        hosts = [str(parts.hostname) for parts in targets if parts is not None and parts.scheme == "http"]
        named = {name.lower() for name in self.allow_hosts}
        return [host for host in hosts if not host_allowed(host, []) and PLAIN + host.lower() not in named]

    def resolved_stages(self) -> list[Stage]:
        """Returns the stages of an open load or of windows, the warm-up first; else none."""
        if self.target_b:
            duration_s = self.duration_s or 0.0
            length_s = self.window_s or window_s(duration_s)
            return alternating_windows(self.rate or 0.0, self.warmup_s or 0.0, duration_s, length_s)
        if self.model == "closed" and self.interactive and self.duration_s:
            warmup = Stage(0.0, 0.0, self.warmup_s or 0.0, "warm-up", warmup=True, users=self.users)
            planned = Stage(0.0, 0.0, self.duration_s, f"{self.users} users", users=self.users)
            return [warmup, planned] if self.warmup_s else [planned]
        if self.model != "open" or self.replay:
            return []
        return resolve(self.stages or [StageSpec(hold=self.rate, duration=f"{self.duration_s}s")], self.warmup_s or 0.0)


def for_all_cores(plan: "Plan") -> int:
    """Returns how many workers `workers = "auto"` is where nobody knows more: a core each, and one for the rest."""
    return min(workers_for_all_cores(), plan.users)


AutoWorkers = Callable[["Plan"], int]


def assemble(
    plan_file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    auto: AutoWorkers = for_all_cores,
) -> Plan:
    """Returns the plan: flags override the environment, which overrides the file, which overrides defaults.

    Args:
        plan_file: a TOML file, or None for the defaults alone.
        environment: only names that start with CONVLOAD_ and go on with a plan key are looked at.
        flags: plan keys as they were written; None means not given.
        auto: says how many workers `workers = "auto"` is for a plan.

    Raises:
        UsageError: with every mistake of every source.
    """
    return settle(plan_file, environment, flags, auto)[0]


def settle(
    plan_file: Path | None,
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    auto: AutoWorkers = for_all_cores,
) -> tuple[Plan, dict[str, str]]:
    """Returns the plan as `assemble` does, and where each of its values was written that was written anywhere."""
    types = public_types()
    sources = [from_environment(environment, types), Source({k: v for k, v in flags.items() if v is not None}, FLAGS)]
    if plan_file:
        sources.insert(0, _with_tokens(from_file(plan_file), sources))
    problems = [f"{source.name(key, rest)}{rest}" for source in sources for key, rest in check(source, types)]
    merged = merge(sources)
    values = ({"name": plan_file.stem} if plan_file else {}) | merged.values
    gates, more = written_gates(sources, has_baseline=bool(values.get("baseline")))
    conditions = written_conditions(sources)
    problems += [*more, *gate_mistakes(gates, conditions, Vocabulary()), *baseline_gate_mistakes(sources)]
    if problems := list(dict.fromkeys(problems)):
        raise UsageError(*problems)
    for source in sources:
        if hint := hint_of(source.values.get("mock", {})):
            sys.stderr.write(f"convload: note: {source.name('mock')}.{hint}\n")
    is_auto = values.get("workers") == AUTO
    values |= {"gates": [gate.text for gate in gates]} | ({"workers": 1} if is_auto else {})
    plan = _with_defaults(msgspec.convert(values, Plan, strict=False))
    problems = list(_rules_between(plan))
    stages = None if problems else [stage.name for stage in plan.resolved_stages() if not stage.warmup]
    if problems := [*problems, *_judging_mistakes(plan, gates, conditions, stages)]:
        raise UsageError(*problems)
    return (msgspec.structs.replace(plan, workers=auto(plan)) if is_auto else plan), merged.origins


def _with_tokens(plan: Source, newer: Sequence[Source]) -> Source:
    """Drops that a plan for the mock has no tokens where a newer source names a target that may ask for them."""
    targets = [one.values.get("target", MOCK) for one in (plan, *newer)]
    if targets[0] != MOCK or all(one == MOCK for one in targets) or plan.values.get("consumers") != "none":
        return plan
    values = {key: value for key, value in plan.values.items() if key != "consumers"}
    return Source(values, plan.origin, plan.text)


def public_types() -> dict[str, Any]:
    """Returns the types of a plan's keys by the names that people write."""
    written = {stored: key for key, stored in DURATIONS.items()}
    types = {written.get(field.name, field.name): field.type for field in msgspec.structs.fields(Plan)}
    return types | {"workers": types["workers"] | Literal["auto"]}


def _with_defaults(plan: Plan) -> Plan:
    """Settles what depends on other keys: a run by count has no time limit and no warm-up by default."""
    by_count = plan.conversations is not None
    is_open = plan.model == "open" or bool(plan.rate or plan.stages or plan.replay)
    if is_open and plan.stages:
        durations = [parse_duration_s(spec.duration) * len(spec.rates) for spec in plan.stages]
        plan = msgspec.structs.replace(plan, duration_s=math.fsum(durations))
    elif is_open and plan.replay:
        plan = msgspec.structs.replace(plan, warmup_s=plan.warmup_s or 0.0)
    duration_s = plan.duration_s if plan.duration_s or by_count or plan.replay else DEFAULT_DURATION_S
    warmup_s = plan.warmup_s if plan.warmup_s is not None else (0.0 if by_count else DEFAULT_WARMUP_S)
    on_mock = plan.target == MOCK
    # Without tokens the mock must not ask for them.
    mock = msgspec.structs.replace(plan.mock, auth=False) if plan.consumers == "none" else plan.mock
    return msgspec.structs.replace(
        plan,
        model="open" if is_open else "closed",
        users=plan.max_in_flight if is_open else plan.users,
        duration_s=duration_s,
        warmup_s=warmup_s,
        lookup=plan.lookup or on_mock,
        # Empty is what a pipeline gives for a baseline that it does not have.
        baseline=plan.baseline or None,
        mock=mock,
        retry=plan.retry.settled(),
    )


def _open_mistakes(plan: Plan) -> Iterator[str]:
    sources = [name for name in ("rate", "stages", "replay") if getattr(plan, name)]
    if len(sources) != 1:
        given = " and ".join(sources) or "none"
        yield f"model: an open load needs exactly one of rate, stages, replay; this plan has {given}"
    if plan.conversations:
        yield "conversations: an open load ends with its schedule; it is for the closed model"
    if plan.think != "none" or plan.ramp_s:
        yield "think, ramp: are for the closed model; an open load has its schedule"
    if plan.consumers == "pool" and plan.pool_size is None:
        yield "pool_size: is needed with consumers = 'pool' in the open model"


def _rules_between(plan: Plan) -> Iterator[str]:
    if "/" in plan.name or not plan.name.isprintable() or plan.name.strip(".") == "":
        yield f"name: {plan.name!r} must be a plain name, it becomes part of the name of the run folder"
    if plan.model == "open":
        yield from _open_mistakes(plan)
    try:
        parse_think(plan.think)
    except ValueError as error:
        yield f"think: {error}"
    if plan.target != MOCK:
        yield from _target_mistakes("target", plan.target, plan.allow_hosts)
    for host in [] if plan.insecure or plan.consumers == "none" else plan.in_clear_text:
        yield f"{refusal_in_clear_text(host)}, or run with consumers = 'none'"
    if plan.target_b is not None:
        yield from _target_mistakes("target_b", plan.target_b, plan.allow_hosts)
        yield from _turns_mistakes(plan)
    if plan.model == "closed" and plan.consumers == "pool" and plan.pool_size is None and plan.conversations is None:
        yield "pool_size: is needed with consumers = 'pool' unless conversations bounds the run"
    if plan.pool_size and plan.conversations and plan.consumers == "pool" and plan.pool_size < plan.conversations:
        yield f"pool_size: {plan.pool_size} consumers are too few for {plan.conversations} conversations"
    if plan.users < plan.workers:
        yield f"workers: {plan.workers} workers need at least as many users; the plan has {plan.users}"


def _turns_mistakes(plan: Plan) -> Iterator[str]:
    if plan.stages or plan.replay or plan.conversations:
        yield "target_b: two targets are compared at one rate or with so many users, for a time; not with " + (
            "conversations" if plan.conversations else "stages or a replay"
        )
    if plan.duration_s and plan.duration_s < SHORTEST_WINDOW_S * len(WINDOW_ORDER):
        yield f"duration: {plan.duration_s:g} s hold no four windows of {SHORTEST_WINDOW_S:g} s (A B B A)"
    if plan.window_s and plan.window_s < SHORTEST_WINDOW_S:
        yield f"window: must be at least {SHORTEST_WINDOW_S:g} s, so that few requests reach into the next one"
    for key in ("gates", "baseline_gates", "baseline", "extend"):
        if getattr(plan, DURATIONS.get(key, key)):
            yield f"{key}: judges one target; with target_b B is compared with A, and errors <= 1% is asked of each"


def _judging_mistakes(
    plan: Plan, gates: list[WrittenGate], conditions: list[WrittenGate], stages: list[str] | None
) -> Iterator[str]:
    """Yields what gates ask that this run cannot have; `stages` are None where they cannot be told."""
    found = parsed(plan.gates, plan.abort_when)
    variants = None
    if any(gate.subject.variant for gate in found):
        variants = variants_of(plan.payloads, plan.mix, replayed=bool(plan.replay))
    yield from gate_mistakes(gates, conditions, Vocabulary(plan.model, stages, variants))
    compared = [gate.text for gate in found if gate.needs_baseline]
    if compared and plan.baseline is None:
        yield f"gates: {compared[0]!r} compares with a baseline; name a run folder or a baseline file with --baseline"
    for key in ("extend", "interactive"):
        if getattr(plan, DURATIONS.get(key, key)):
            yield from _extend_mistakes(plan, key)


def _extend_mistakes(plan: Plan, of_key: str) -> Iterator[str]:
    ends = {
        "conversations": plan.conversations and f"this one ends after {plan.conversations:,} conversations",
        "replay": plan.replay and "this one ends with the last start of its replay",
        "target_b": plan.target_b and "this one takes its two targets in turns, by windows that are planned beforehand",
    }
    does = {"extend": "lengthens", "interactive": "is for"}[of_key]
    for key, end in ends.items():
        if end:
            yield f"{of_key}: {does} a run of a planned duration at one target; {end} ({key})"


def _target_mistakes(key: str, target: str, allow_hosts: list[str]) -> Iterator[str]:
    parts = split_origin(target)
    if parts is None:
        also = "mock, " if key == "target" else ""
        yield f"{key}: {target!r} must be {also}http://HOST[:PORT] or https://HOST[:PORT]"
    elif not host_allowed(str(parts.hostname), allow_hosts):
        yield refusal_of_host(str(parts.hostname))


def refusal_in_clear_text(host: str) -> str:
    """Says why no credentials go to a host."""
    return f"insecure: credentials would go to {host!r} by http, readable for all on the way; use https or --insecure"


def cautions(plan: Plan) -> list[str]:
    """Says what a plan does without; it stands in every report of its runs."""
    unverified = "certificates are not checked (verify_tls = false): whoever answers is believed"
    in_clear = [
        f"what is sent to {host} can be read by all on the way: http, and insecure = true"
        for host in plan.in_clear_text
        if plan.insecure
    ]
    return [*([] if plan.verify_tls else [unverified]), *in_clear]


PLAIN = "http://"
"""Before a host that may be given credentials without TLS."""


def host_allowed(host: str, allow_hosts: list[str]) -> bool:
    """Says whether a host may be fired at: loopback always, else by name or by `*.suffix`, in any case."""
    host = host.lower()
    if host in {"localhost", "::1"} or re.fullmatch(r"127(\.\d{1,3}){3}", host):
        return True
    names = [allowed.lower().removeprefix(PLAIN) for allowed in allow_hosts]
    return host in names or any(name[:2] == "*." and host.endswith(name[1:]) for name in names)


def service_url(scheme: str, host: str, named: str, allow_hosts: list[str]) -> str:
    """Returns the URL of a service that a look-up at a target names as `HOST[:PORT]`.

    It is given credentials, so by https whatever the look-up went by; but where the target is on this machine, or the
    service's host is allowed as `http://HOST`. Raises TargetError where it names something else.
    """
    parts = split_origin(f"https://{named}")
    if parts is None or parts.path:
        raise TargetError(f"domain look-up: names {named!r}, which is no HOST[:PORT]")
    plain = [allowed for allowed in allow_hosts if allowed.startswith(PLAIN)]
    may_be_plain = host_allowed(host, []) or host_allowed(str(parts.hostname), plain)
    return f"{scheme if may_be_plain else 'https'}://{named}"


def refusal_of_host(host: str) -> str:
    """Returns the message for a host that is not allowed."""
    return (
        f"target: {host!r} is not this machine; to fire at it give --allow-host {host} "
        f"or allow_hosts = [{host!r}] in the plan"
    )


def marks(stages: Sequence[Stage], starts_s: float = 0.0) -> list[StageMark]:
    """Returns the stages as the run log tells them; the first begins at `starts_s`."""
    found = []
    for stage in stages:
        rates = stage.from_rate, stage.to_rate
        found.append(StageMark(stage.name, starts_s, stage.duration_s, *rates, stage.warmup, stage.target, stage.users))
        starts_s += stage.duration_s
    return found
