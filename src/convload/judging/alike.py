"""Says in what two runs are unlike: a difference in speed means something only between runs of the same kind.

One table says of every key of a plan what becomes of a difference in it. Comparisons, gates against a baseline and
histories all ask here, so that none accepts what another refuses.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from convload.plan.mock_behaviour import EARLIER, service_time_of
from convload.plan.plan import MOCK, Plan
from convload.results.runlog import Manifest

Treatment = Literal["equal", "reported", "ignored"]


class KeyRule(msgspec.Struct, frozen=True):
    """What becomes of a difference in one key of the plan, and why; `differing` names it in a report."""

    treatment: Treatment
    reason: str
    differing: str = ""


_LOAD = "model rate arrivals stages replay target_b window_s max_in_flight users ramp_s think warmup_s drain_s workers"
_SENT = "locustfile payloads mix consumers pool_size"
_FAILED = """connect_timeout_s timeout_s retry.policy retry.attempts retry.on retry.first_wait_s retry.factor
    retry.max_wait_s retry.jitter retry.honour_retry_after retry.max_retry_after_s"""
_LOADED = """target mock.auth mock.account mock.app_token_lifetime_s mock.one_open_conversation mock.refused_event
    mock.any_order mock.strict mock.require_client_properties mock.max_message_chars mock.servers mock.service_time
    mock.queue mock.shed
    mock.retry_after mock.usl_sigma mock.usl_kappa mock.degrade mock.degrade_cap mock.stall_every mock.stall_for
    mock.slow_start_factor mock.slow_start_for mock.slow_start_idle mock.http_4xx_share mock.http_4xx_status
    mock.http_429_share mock.http_5xx_share mock.http_5xx_status mock.reset_share mock.bad_json_share
    mock.missing_id_share mock.swapped_ids_share mock.done_status_share mock.done_status mock.done_reset_share
    mock.done_stall_share mock.fault_steps mock.read_timeout_s mock.idle_timeout_s mock.max_body_bytes"""
_JUDGED = """gates baseline_gates gates_file confidence independent abort_when baseline validity.cpu_share
    validity.cpu_seconds_share validity.cpu_seconds validity.lateness_p99_ms validity.rate_deviation
    validity.hub_delay_ms validity.hub_delay_intervals validity.files_free validity.ports_share validity.samples
    validity.trend_seconds validity.trend_significance validity.trend_change validity.trend_change_ms
    validity.waive"""


def _rules(treatment: Treatment, keys: str, reason: str, differing: str = "") -> dict[str, KeyRule]:
    return dict.fromkeys(keys.split(), KeyRule(treatment, reason, differing))


PLAN_KEYS: dict[str, KeyRule] = {
    **_rules("equal", _LOAD, "another load is answered at another speed"),
    **_rules("equal", _SENT, "other requests take other times; files are compared by content where it is known"),
    **_rules("equal", _FAILED, "decides which requests fail, and how long they are waited for"),
    **_rules("equal", _LOADED, "another server; of one that is not embedded the kind, as an address may change"),
    **_rules("reported", "seed", "the runs sent other payloads of the same kind, which is not unlike", "the seeds"),
    **_rules("reported", "duration_s conversations extend_s", "a shorter run knows the same less well", "the lengths"),
    **_rules("reported", "account", "accounts may be set up differently", "the accounts"),
    **_rules("reported", "verify_tls", "checks of certificates are part of connecting", "the checks of certificates"),
    **_rules("reported", "traced", "a target may take longer over what it traces", "the shares of traced creates"),
    **_rules("ignored", "name tags", "a name"),
    **_rules("ignored", "interactive", "a run that was changed by hand is no evidence anyway"),
    **_rules(
        "ignored", "allow_hosts source_addresses ca_file credentials_file lookup insecure", "the way to the server"
    ),
    **_rules("ignored", "on_lost_worker on_full", "a run that lost a worker or results is no evidence anyway"),
    **_rules("ignored", "mock.seed", "other delays of the same distribution"),
    **_rules("ignored", " ".join(f"mock.{key}" for key in EARLIER), "mock.service_time says the same"),
    **_rules("ignored", _JUDGED, "says how a run is judged, and not what it measures"),
}
"""What becomes of a difference in each key; a key that only another version knows must be equal."""

_UNKNOWN_KEY = KeyRule("equal", "a key of another version")
_ADDRESS = "the addresses of the target differ ({} and {}): the same service may stand elsewhere, or another one"
_KINDS = {"model": "model", "mix": "mix", "target": "target"}
_BY_CONTENT = ("payloads", "locustfile", "replay")
"""Keys that name files, which are the same where their content is."""

_MEMORY_TOLERANCE = 0.1
"""Machines of one class differ a little in the memory that the kernel leaves over."""

_SHOWN_DIGITS = 12


def treatment_of(key: str) -> Treatment:
    """Says what becomes of a difference in a key."""
    return PLAN_KEYS.get(key, _UNKNOWN_KEY).treatment


class RunKind(msgspec.Struct, frozen=True):
    """What kind of run it was: the keys of its plan, dotted, and the sha256 of the files that it read, if known."""

    settings: dict[str, Any]
    inputs: dict[str, str]
    machine: dict[str, Any]
    versions: dict[str, str]


class Unlikeness(msgspec.Struct, frozen=True):
    """One thing in which a run differs from the base: `kind` is plan, model, mix, target, payloads … or machine."""

    kind: str
    what: str
    base: str
    new: str
    note: str = ""

    def sentence(self, base: str = "in the base", new: str = "in the other") -> str:
        """Says it, with these names for the sides."""
        note = f": {self.note}" if self.note else ""
        return f"{self.kind}: {self.what} is {self.base} {base} and {self.new} {new}{note}"

    __str__ = sentence


class Likeness(msgspec.Struct, frozen=True):
    """What makes two runs unlike, and what does not and a reader should know all the same.

    `elsewhere` says that the address or the account differs: of the same plan, at something else.
    """

    unlike: list[Unlikeness]
    notes: list[str]
    elsewhere: bool = False


def run_kind(manifest: Manifest) -> RunKind:
    """Returns what kind of run a manifest tells of."""
    plan = manifest.plan
    settings = _flat({key: value for key, value in plan.items() if key != "mock"})
    if plan.get("target") == MOCK and (mock := plan.get("mock")):
        settings |= _flat({"mock": mock | {"service_time": service_time_of(mock)}})
    return RunKind(settings, manifest.inputs, manifest.machine, manifest.versions)


def compare_kinds(base: RunKind, new: RunKind) -> Likeness:
    """Returns all that makes two runs unlike, and what a reader should know."""
    by_content = bool(base.inputs and new.inputs)
    differing = [
        key
        for key in sorted({*base.settings, *new.settings})
        if treatment_of(key) != "ignored" and not (by_content and key in _BY_CONTENT) and not _same(key, base, new)
    ]
    reported = [key for key in differing if treatment_of(key) == "reported" or _is_address(key, base, new)]
    unlike = [_unlikeness(key, base, new) for key in differing if key not in reported]
    notes = [note for key in reported if (note := _note(key, base, new))]
    files = _inputs(base, new) if by_content else []
    return Likeness(
        unlike=[*unlike, *files, *_machines(base.machine, new.machine)],
        notes=[*notes, *([] if by_content else [_unknown_inputs(base, new)]), *_versions(base, new)],
        elsewhere=bool({"account", "target"} & {*reported}),
    )


def _is_address(key: str, base: RunKind, new: RunKind) -> bool:
    """Says whether only the address of the target differs, and not what kind it is of."""
    one, other = (side.settings.get("target") for side in (base, new))
    return key == "target" and kind_of_target(one) == kind_of_target(other)


def _unlikeness(key: str, base: RunKind, new: RunKind) -> Unlikeness:
    one, other = (side.settings.get(key) for side in (base, new))
    note = "the embedded mock on one side only" if key == "target" and MOCK in {one, other} else ""
    return Unlikeness(_KINDS.get(key, "plan"), f"`{key}`", _shown(one), _shown(other), note)


def _note(key: str, base: RunKind, new: RunKind) -> str:
    one, other = (side.settings.get(key) for side in (base, new))
    if key == "target":
        # What has no host is the kind alone, as baselines keep it: nothing is known of the address.
        known = urlsplit(str(one)).netloc and urlsplit(str(other)).netloc
        return _ADDRESS.format(_shown(one), _shown(other)) if known else ""
    rule = PLAN_KEYS[key]
    return f"{rule.differing} differ ({_shown(one)} and {_shown(other)}): {rule.reason}"


def _same(key: str, base: RunKind, new: RunKind) -> bool:
    if key.startswith("mock.") and {base.settings.get("target"), new.settings.get("target")} != {MOCK}:
        return True  # that the server is another one is said once
    # A key that the version of one side does not know yet had no effect there: that of its default.
    one, other = (side.settings.get(key, _DEFAULTS.get(key)) for side in (base, new))
    return bool(one == other or not (one or other))


def _flat(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the plan with the keys of its tables dotted."""
    found: dict[str, Any] = {}
    for key, value in plan.items():
        if isinstance(value, dict) and key != "mix":
            found.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            found[key] = value
    return found


_DEFAULTS = _flat(msgspec.to_builtins(Plan()))


def kind_of_target(target: object) -> str:
    """Returns "mock", "http" or "https"."""
    return urlsplit(str(target)).scheme or str(target)


def _inputs(base: RunKind, new: RunKind) -> Iterator[Unlikeness]:
    """Yields for each of payloads, locustfile and replay that its content differs."""
    for kind in _BY_CONTENT:
        names = [name for name in {*base.inputs, *new.inputs} if name.split("/")[0] == kind]
        names = sorted(name for name in names if base.inputs.get(name) != new.inputs.get(name))
        # The locustfile that comes with convload changes with it, and that is told as a version.
        if not names or (kind == "locustfile" and not any(side.settings.get(kind) for side in (base, new))):
            continue
        more = f", the first of {len(names)} files," if len(names) > 1 else ""
        digests = (_digest(side.inputs.get(names[0])) for side in (base, new))
        yield Unlikeness(kind, f"the content of {names[0].removeprefix('payloads/')}{more}", *digests)


def _digest(sha256: str | None) -> str:
    return f"sha256 {sha256[:_SHOWN_DIGITS]}…" if sha256 else "missing"


def _unknown_inputs(base: RunKind, new: RunKind) -> str:
    side = "the other run" if base.inputs else "the base" if new.inputs else "neither run"
    says = "says" if base.inputs == new.inputs else "does not say"
    return f"whether the runs sent the same payloads cannot be known: {side} {says} what its files held"


def _versions(base: RunKind, new: RunKind) -> list[str]:
    named = {f"version of {name}": name for name in sorted({*base.versions, *new.versions})}
    pairs = {what: (base.versions.get(name), new.versions.get(name)) for what, name in named.items()}
    pairs["system"] = (base.machine.get("system"), new.machine.get("system"))
    return [
        f"the {what} differs: {_shown(one)} and {_shown(other)}" for what, (one, other) in pairs.items() if one != other
    ]


def machine_differences(base: dict[str, Any], new: dict[str, Any]) -> list[Unlikeness]:
    """Returns what puts two machines into different classes, as their manifests tell it."""
    return list(_machines(base, new))


def _machines(base: dict[str, Any], new: dict[str, Any]) -> Iterator[Unlikeness]:
    """Yields what puts two machines into different classes: operating system, processor, cores and memory."""
    of_base, of_new = _class(base), _class(new)
    for what, one in of_base.items():
        other = of_new[what]
        if one != other:
            yield Unlikeness("machine", what, _shown(one), _shown(other))
    memory = [size for size in (machine.get("memory_bytes") for machine in (base, new)) if isinstance(size, int)]
    if len(memory) == len((base, new)) and max(memory) > min(memory) * (1 + _MEMORY_TOLERANCE):
        yield Unlikeness("machine", "memory", *(f"{size / 2**30:.1f} GiB" for size in memory))


def _class(machine: dict[str, Any]) -> dict[str, Any]:
    return {
        "operating system": str(machine.get("system", "")).split(" ")[0],
        "processor": machine.get("processor"),
        "cores": machine.get("cores"),
    }


def _shown(value: Any) -> str:
    return "not stated" if value is None else value if isinstance(value, str) else json.dumps(value)
