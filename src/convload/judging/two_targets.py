"""Asks the built-in gate of each of two targets on its own."""

from collections.abc import Collection, Mapping

import msgspec

from convload.contract.steps import CREATE
from convload.judging.gate_result import FAIL, INCONCLUSIVE, GateResult
from convload.judging.gates import BUILT_IN, judge_built_in
from convload.results.measured import Flow, Totals

BASE = "A"


def judge_turns(totals: Totals, stages: Mapping[str, Collection[str]]) -> list[GateResult]:
    """Returns a gate for each target; `stages` names the windows of each.

    Where A fails too often nothing can be compared with it, and that is no fault of B: its gate is inconclusive then.
    Which target an arrival that was never sent would have gone to is not known; it makes the run invalid.
    """
    return [_judge(target, _part(totals, own)) for target, own in stages.items()]


def _judge(target: str, totals: Totals) -> GateResult:
    found = judge_built_in(totals)
    message = f"target {target}: {found.message}"
    gate = f"{BUILT_IN} ({target})"
    if target == BASE and found.outcome == FAIL:
        message += "; B is compared with A, so a broken A says nothing of B"
        return msgspec.structs.replace(found, gate=gate, message=message, outcome=INCONCLUSIVE)
    return msgspec.structs.replace(found, gate=gate, message=message)


def _part(totals: Totals, stages: Collection[str]) -> Totals:
    parts = {key: figures for key, figures in totals.parts.items() if key[2] in stages}
    count = sum(figures.count for key, figures in parts.items() if key[0] == CREATE)
    return Totals(parts, {"": Flow(0.0, count, count, 0)})
