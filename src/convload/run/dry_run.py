"""Tells what a run would do, from its plan and files alone: nothing is contacted, started or written."""

import msgspec

from convload.plan.needs import Needs, needs_of
from convload.plan.plan import MOCK, Plan
from convload.plan.schedule import Stage
from convload.run.files import Inputs

MEGA = 1e6


def describe(plan: Plan, inputs: Inputs) -> list[str]:
    """Returns the lines for a person: schedule, needs, and the whole plan as a run's manifest would have it."""
    needs = needs_of(plan, inputs.replay)
    target = "the embedded mock" if plan.target == MOCK else plan.target
    return [
        f"Dry run of {plan.name} at {target}: nothing is contacted, started or written.",
        "",
        "Schedule",
        *(f"  {line}" for line in _schedule(plan, needs)),
        "Needs",
        *(f"  {line}" for line in _needs(plan, needs)),
        "Plan",
        msgspec.json.format(msgspec.json.encode(plan)).decode(),
    ]


def _schedule(plan: Plan, needs: Needs) -> list[str]:
    if plan.replay:
        return [f"{needs.conversations:,} arrivals in all, as {plan.replay} has them"]
    if plan.model == "open":
        return [*_stages(plan.resolved_stages(), needs.arrivals), f"{needs.conversations:,} arrivals in all"]
    lines = [f"warm-up for {plan.warmup_s:g} s"] if plan.warmup_s else []
    if plan.duration_s is not None:
        lines.append(f"measured for {plan.duration_s:g} s")
    if needs.conversations is not None:
        return [*lines, f"{plan.users} users, {needs.conversations:,} conversations in all"]
    return [*lines, f"as many conversations as {plan.users} users get answered, think time {plan.think}"]


def _stages(stages: list[Stage], arrivals: list[int]) -> list[str]:
    lines, starts_s = [], 0.0
    for stage, count in zip(stages, arrivals, strict=True):
        ends_s = starts_s + stage.duration_s
        rate = f"{stage.to_rate:,.15g}/s"
        if stage.from_rate != stage.to_rate:
            rate = f"{stage.from_rate:,.15g} to {rate}"
        name = "warm-up" if stage.warmup else f"stage {stage.name}" if stage.name else "measured"
        lines.append(f"{name:<24} {starts_s:g} s to {ends_s:g} s, {rate}: {count:,} arrivals")
        starts_s = ends_s
    return lines


def _needs(plan: Plan, needs: Needs) -> list[str]:
    targets = " and target" if plan.target_b else ""
    disk = "about 8 kB a second and worker"
    if needs.disk_bytes is not None:
        disk = f"about {needs.disk_bytes / MEGA:,.1f} MB"
    return [
        *_tokens(plan, needs, targets),
        f"up to {needs.sockets:,} sockets: {needs.sockets // plan.users} services for each of {plan.users:,} users",
        f"up to {needs.files_a_worker:,} files a worker",
        f"{disk} of disk",
    ]


def _tokens(plan: Plan, needs: Needs, targets: str) -> list[str]:
    if plan.consumers == "none":
        return ["no tokens"]
    app = f"{needs.app_tokens} AppJWT{'s' * (needs.app_tokens > 1)}, one a worker{targets}, and their renewals"
    each = {"close": f"one a user{targets}", "fresh": "one a conversation", "pool": "minted before the run"}
    count = "a ConsumerJWS" if needs.consumer_tokens is None else f"{needs.consumer_tokens:,} ConsumerJWSs"
    return [app, f"{'up to ' * (plan.consumers == 'close')}{count}, {each[plan.consumers]}"]
