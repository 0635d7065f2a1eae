"""Writes figures for people: the same digits and units in every report."""

from collections.abc import Iterable, Sequence

from convload.comparison.conclusion import Conclusion
from convload.comparison.outcomes import Minimum
from convload.comparison.two_targets import TargetComparison
from convload.contract.steps import CREATE, FIRST
from convload.judging.baseline import Baseline
from convload.judging.calibration import machine_sentence
from convload.judging.gate_result import INCONCLUSIVE, GateResult, duration
from convload.plan.facts import OPEN
from convload.plan.gate_names import OPERATORS
from convload.report.document import Bar
from convload.results.histogram import PERCENTILES, Statistics, samples_needed, short
from convload.results.summary import Requests, StageRequests, Summary

NONE = "—"
"""Stands where nothing was measured."""

COLUMNS = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")

TimeColumn = tuple[str, str]
"""A clock (response, service, lateness, failed_response) and a statistic of it."""

MODEL_NOTES = {
    "closed": "Closed model: a user waits for its answer before it asks again, so a time is a service time "
    "(sent to answered), and nothing follows from it about any given rate of arrivals.",
    "open": "Open model: requests are due by a schedule that does not wait for answers. Response time (due to "
    "answered) is what a caller would see; service time (sent to answered) is what the target took; lateness (due to "
    "sent) is the wait for a free user or a slow generator.",
}

RETRY_NOTE = (
    "Of measured conversations. In the steps conversation.create is a whole conversation with its waits, "
    "conversation.create.first its first attempt alone, conversation.create.retry each later one, timed from when it "
    "was sent."
)


def milliseconds(value: float | None) -> str:
    """Two decimals, for columns that line up on the point."""
    return NONE if value is None else f"{value:,.2f}"


def about(value: float | None) -> str:
    """Three digits, for a figure that stands alone."""
    if value is None:
        return NONE
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0  # noqa: PLR2004 -- powers of ten
    return f"{value:,.{decimals}f}"


def count(value: int | None) -> str:
    """Grouped by thousands."""
    return NONE if value is None else f"{value:,}"


def rate(value: float | None) -> str:
    """Per second, one decimal."""
    return NONE if value is None else f"{value:,.1f}"


def percent(part: int, whole: int) -> str:
    """A share that reads 0 % or 100 % only when it is; nothing where there is no whole."""
    if not whole:
        return NONE
    value = 100 * part / whole
    if 0 < value < 0.01:  # noqa: PLR2004 -- the last digit shown
        return "<0.01 %"
    if 99.99 < value < 100:  # noqa: PLR2004 -- as above
        return ">99.99 %"
    return f"{value:.2f} %" if 0 < value < 100 else f"{value:.0f} %"  # noqa: PLR2004 -- the bounds of a share


def core_share(value: float | None) -> str:
    """CPU time over wall time, in percent of one core."""
    return NONE if value is None else f"{100 * value:.0f} % of a core"


def gate_value(gate: GateResult) -> str:
    """The point value of a gate with its unit."""
    return NONE if gate.value is None else _in_unit(short(gate.value), gate.unit)


def gate_interval(gate: GateResult) -> str:
    """The interval around a gate's value; open to a side on which the sample bounds nothing."""
    if gate.low is None and gate.high is None:
        return NONE
    if gate.exact:
        return "exact"
    if gate.low is None or gate.high is None:
        side, bound = ("at most", gate.high) if gate.low is None else ("at least", gate.low)
        return f"{side} {_in_unit(short(bound or 0.0), gate.unit)}"
    return f"{short(gate.low)} to {_in_unit(short(gate.high), gate.unit)}"


def bounds_head(gates: Iterable[GateResult]) -> str:
    """The head of the column of the gates' bounds, with their confidence if they have one in common."""
    confidences = {f"{100 * gate.confidence:.4g} % " for gate in gates}
    return f"{confidences.pop() if len(confidences) == 1 else ''}bounds"


def gate_limit(gate: GateResult) -> str:
    """What a gate allows; nothing where it follows from a baseline that says nothing."""
    if gate.limit is None:
        return NONE
    # To its last digit: it is what somebody wrote.
    return _in_unit(f"{gate.limit:,.4f}".rstrip("0").rstrip("."), gate.unit)


def gate_bar(gate: GateResult) -> Bar:
    """The value of a gate with its bounds against its limit, on a scale from 0 to a little beyond the highest."""
    low, high = (gate.value, gate.value) if gate.exact else (gate.low, gate.high)
    top = 1.12 * max((abs(one) for one in (gate.value, low, high, gate.limit) if one is not None), default=0.0) or 1.0
    value, low, high, limit = (None if one is None else one / top for one in (gate.value, low, high, gate.limit))
    above = {">": True, ">=": True, "<": False, "<=": False}.get(_operator(gate.gate))
    return Bar(value, low, high, limit, gate.outcome, "" if above is None else "above" if above else "below")


def _operator(gate: str) -> str:
    return next((word for word in gate.split() if word in OPERATORS), "")


def _in_unit(figure: str, unit: str) -> str:
    return figure + ("" if not unit or unit.startswith("/") else " ") + unit


def gate_figures(gate: GateResult) -> str:
    """All figures of a gate, in one line."""
    between = "exact" if gate.exact else f"{bounds_head([gate])} {gate_interval(gate)}"
    said = [f"value {gate_value(gate)}, {between}, limit {gate_limit(gate)}"]
    said += [] if gate.samples is None else [f"{gate_samples(gate)} requests"]
    said += [] if gate_worth(gate) == NONE else [f"worth {gate_worth(gate)} independent ones"]
    said += [] if gate_longer(gate) == NONE else [f"to decide {gate_longer(gate)}"]
    return ", ".join(said)


def gate_samples(gate: GateResult) -> str:
    """How many requests a gate looks at; of windows those of the worst."""
    return count(gate.samples)


def gate_worth(gate: GateResult) -> str:
    """How many independent requests they are worth, where that is known."""
    return count(gate.worth) if knows_worth(gate) else NONE


def knows_worth(gate: GateResult) -> bool:
    """Says whether a gate counts requests as what they are worth; a built-in one need not, its value decides."""
    return not gate.exact and gate.worth is not None and (not gate.builtin or gate.effect is not None)


def gate_range(gate: GateResult) -> str:
    """The range in which the value lies, as the generator itself may have added to what it measured."""
    if gate.undelayed is None or gate.value is None:
        return NONE
    return f"{short(gate.undelayed)} to {_in_unit(short(gate.value), gate.unit)}"


def gate_longer(gate: GateResult) -> str:
    """How much longer the run must be to decide a gate that is undecided, where that is known."""
    if gate.outcome != INCONCLUSIVE or gate.longer_s is None:
        return NONE
    return f"{'at least' if gate.at_least else 'about'} {duration(gate.longer_s)} more"


def reconciliation(summary: Summary) -> list[tuple[str, str]]:
    """The create requests of the whole run as they went from hand to hand, and the counts at each."""
    counts = summary.counts
    chain = [("built", counts.built), ("sent", counts.sent), ("recorded", counts.recorded)]
    if summary.model == OPEN:
        unsent = f", {count(counts.unsent)} of them never sent" if counts.unsent else ""
        chain = [(f"due{unsent}", counts.offered), *chain[1:]]
    if summary.retries is not None:
        chain.insert(1, ("sent again", counts.retried))
    if summary.ledger is not None:
        chain += [("received by the mock", summary.ledger.received), ("accepted by it", summary.ledger.accepted)]
    return [(name, count(value)) for name, value in chain]


def generator_facts(summary: Summary) -> dict[str, str]:
    """What the load generator used, by name; what was not watched is left out."""
    generator = summary.generator
    facts = {
        "busiest worker": core_share(generator.cpu_share),
        "highest second": core_share(generator.cpu_share_highest),
        "all workers": core_share(generator.cpu_share_sum),
        "memory": f"{generator.memory_bytes / 2**20:,.0f} MiB",
    }
    if summary.model == OPEN:
        facts["lateness p99"] = with_unit(generator.lateness_p99_ms, "ms")
    if generator.files_free_lowest is not None:
        facts["event loop late by"] = f"at most {with_unit(generator.hub_delay_highest_ms, 'ms')}"
        facts["files left"] = f"at least {count(generator.files_free_lowest)}"
        facts["ports in TIME_WAIT"] = f"at most {count(generator.sockets_waiting_highest)}"
    return facts | {"ceiling": ceiling(summary)}


def ceiling(summary: Summary) -> str:
    """How far below what the machine can generate the run was."""
    generator = summary.generator
    if generator.ceiling_per_s is None or generator.ceiling_share is None:
        return "not known: run `convload doctor`"
    least = "at least " if generator.ceiling_at_least else ""
    return (
        f"{least}{generator.ceiling_per_s:,.0f} requests/s on {workers(summary)} (convload doctor, "
        f"{generator.ceiling_measured}), the run's {rate(generator.requests_per_s)}/s are "
        f"{about(100 * generator.ceiling_share)} % of it"
    )


def workers(summary: Summary) -> str:
    """How many there were."""
    return f"{summary.workers} worker{'s' if summary.workers != 1 else ''}"


def retry_facts(summary: Summary) -> dict[str, str]:
    """What the retry policy did to the measured conversations, by name; nothing without one."""
    retries = summary.retries
    if retries is None:
        return {}
    ended = {"gave up": retries.gave_up, "not retried": retries.not_retried, "cut off by the end": retries.cut_off}
    retried = ", ".join(f"{kind} {count(number)}" for kind, number in retries.retried.items())
    whole, first = (summary.steps.get(step) for step in (CREATE, FIRST))
    ratio = NONE if retries.amplification is None else f"{retries.amplification:.3f}"
    return {
        "policy": f"{retries.policy}, at most {retries.max_attempts} attempts",
        "requests per conversation": f"{ratio} ({count(retries.attempts)} for {count(retries.conversations)})",
        "first attempts failed": f"{count(retries.first_failed)} "
        f"({percent(retries.first_failed, retries.conversations)}), {count(retries.recovered)} ok after a retry",
        "retried after": retried or "nothing",
        "ended without success": ", ".join(f"{name} {count(number)}" for name, number in ended.items()),
        "waits before retries": _times(retries.waited_ms, ("mean", "p50", "p99", "max")),
        "turned away by the target": ", ".join(
            f"{kind} {count(number)} ({percent(number, retries.attempts)} of requests)"
            for kind, number in retries.shed.items()
        )
        or "none",
        "Retry-After": f"seen {count(retries.retry_after_seen)}, honoured {count(retries.retry_after_honoured)}",
        "response of first attempts": _times(first.response_ms if first else {}, ("p50", "p99")),
        "response of whole conversations": _times(whole.response_ms if whole else {}, ("p50", "p99")),
    }


def _times(values: Statistics, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {with_unit(values.get(name), 'ms')}" for name in names)


def with_unit(value: float | None, unit: str) -> str:
    """A figure that stands alone, with its unit if it was measured."""
    return NONE if value is None else f"{about(value)} {unit}"


def blanks(rows: Iterable[Requests | StageRequests], columns: Sequence[TimeColumn]) -> str:
    """Says why times are missing from a table: which percentiles need how many samples; empty if none is."""
    shown = {name for _, name in columns}
    missing = {name for row in rows for name in row.unsupported if name in shown}
    needs = ", ".join(f"{name} from {samples_needed(PERCENTILES[name]):,}" for name in PERCENTILES if name in missing)
    return f"{NONE} too few samples: {needs}." if needs else ""


def rates(stage: StageRequests) -> str:
    """The planned rate of a stage."""
    low, high = short(stage.from_rate, 7), short(stage.to_rate, 7)
    return low if low == high else f"{low} → {high}"


def setting(summary: Summary) -> str:
    """How the load was made, in one line."""
    users = f"{count(summary.users)} user{'s' * (summary.users != 1)}"
    if summary.model == OPEN:
        users = f"{summary.arrivals or 'scheduled'} arrivals, at most {count(summary.users)} in flight"
    times = f"{short(summary.duration_s, 7)} s measured after {summary.warmup_s:g} s of warm-up"
    return f"{summary.model.capitalize()} model, {users}, {workers(summary)}, consumers {summary.consumers}, {times}"


def achieved(summary: Summary) -> str:
    """How much came of it, in one line."""
    create = summary.steps.get(CREATE)
    created, failed = (create.ok, create.count - create.ok) if create else (0, 0)
    # With retries a conversation is several requests, and the rates count conversations.
    unit = "create requests" if summary.retries is None else "conversations"
    said = f"{count(created)} conversations created, {count(failed)} {unit} failed, "
    if summary.model != OPEN:
        return f"{said}{rate(summary.achieved_rate)} {unit}/s"
    return (
        f"{said}{rate(summary.achieved_rate)} {unit}/s sent of {rate(summary.offered_rate)} offered, "
        f"{count(summary.unsent)} never sent"
    )


def asides(conclusion: Conclusion) -> list[str]:
    """What a reader of the validity should know beside its reasons."""
    waived = [f"Waived ({reason.name}): {reason.text}" for reason in conclusion.validity.waived]
    follows = [
        f"Follows from the early stop ({reason.name}): {reason.text}"
        for reason in conclusion.validity.named
        if reason.follows_from_abort and not reason.waived
    ]
    by_target = [
        f"The target's doing ({reason.name}): {reason.text}"
        for reason in conclusion.validity.named
        if reason.by_target and not (reason.waived or reason.follows_from_abort)
    ]
    return (
        waived
        + follows
        + by_target
        + _of_baseline(conclusion.baseline)
        + [f"Not tested: {text}" for text in conclusion.validity.left_out]
    )


def _of_baseline(baseline: Baseline | None) -> list[str]:
    if baseline is None:
        return []
    unlike = [f"Compared all the same with a baseline unlike this run: {what}" for what in baseline.differences]
    by_ratio = [machine_sentence(baseline)] if baseline.is_by_ratio else []
    return by_ratio + unlike + [f"Warning of the run that is the baseline: {text}" for text in baseline.warnings]


def turns_facts(turns: TargetComparison) -> list[str]:
    """What was compared with what, and what counts as a difference."""
    left = f", {turns.left_out} windows of a group that was cut short left out" if turns.left_out else ""
    return [
        *(f"{target} is {url}" for target, url in turns.targets.items()),
        f"{turns.pairs} pairs of windows of {short(turns.window_s)} s, in turns A B B A{left}",
        rule_of_difference(turns.minimum, turns.confidence),
    ]


def rule_of_difference(least: Minimum, confidence: float) -> str:
    """What counts as a difference between two sides."""
    return (
        f"A difference counts from {100 * least.relative:g} % and {least.absolute_ms:g} ms ({least.errors_points:g} "
        f"percentage points of errors) on, at {100 * confidence:g} % confidence of all statistics together"
    )


def turns_undecided(turns: TargetComparison) -> list[str]:
    """What is undecided, and why: a line a reason."""
    reasons: dict[str, list[str]] = {}
    for one in turns.differences:
        if one.why:
            reasons.setdefault(f"{one.step}: {one.why}", []).append(one.statistic)
    return [f"Cannot tell {', '.join(names)} of {why}" for why, names in reasons.items()]


def aborted(conclusion: Conclusion) -> str:
    """Which condition stopped the run early, empty if none did."""
    found = conclusion.aborted
    return "" if found is None else f"Stopped early at {found.at_s:,.1f} s: {found.text}"
