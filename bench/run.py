"""Measures convload against its targets and beside other tools; writes bench/results.json: `python -m bench.run`.

BENCH_ONLY=name,name takes some of the sections. Absolute figures are this machine's; the ratios are what a claim may
rest on. Comparisons are medians of interleaved rounds.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import (
    aborting,
    accuracy,
    capacity,
    capacity_live,
    cluster,
    comparison,
    comparison_power,
    comparison_queues,
    coverage,
    disturbed,
    freeze,
    freezes,
    generators,
    pages,
    prometheus,
    reading,
    scale,
    steadiness,
    weight,
)
from bench.figures import Figure, as_text
from bench.tools import ROOT, ROUNDS, SECONDS, SLACK_S, run

from convload import machine

RESULTS = ROOT / "results.json"


def mock_speed(_folder: Path) -> list[Figure]:
    """Validated creates that the mock answers on one core; wrk is what drives it."""
    command = [sys.executable, str(ROOT / "mock_speed.py"), "--runs", "1", "--seconds", "3"]
    told = json.loads(run(command, timeout_s=SLACK_S))
    return [
        Figure(f"mock, {name.replace('_', ' ')}, creates", figures["requests_per_s"], "per s")
        for name, figures in told.items()
    ]


SECTIONS: dict[str, Callable[[Path], list[Figure]]] = {
    "builder": generators.builder,
    "server": accuracy.server,
    "accuracy": accuracy.accuracy,
    "open": accuracy.open_rate,
    "freeze": freeze.freeze,
    "disturbed": disturbed.disturbed,
    "freezes": freezes.freezes,
    "closed": generators.closed,
    "tls": generators.tls,
    "connections": scale.connections,
    "memory": scale.memory,
    "workers": scale.workers,
    "coordinator": scale.coordinator,
    "reading": reading.reading,
    "mock": mock_speed,
    "prometheus": prometheus.prometheus,
    "pages": pages.pages,
    "weight": weight.weight,
    "cluster": cluster.cluster,
    "capacity_simulated": capacity.simulated,
    "capacity_shapes": capacity.shaped,
    "capacity_live": capacity_live.live,
    "comparison": comparison.comparison,
    "comparison_power": comparison_power.power,
    "comparison_queues": comparison_queues.queues,
    "comparison_planner": comparison_queues.planner,
    "comparison_turns": comparison_queues.turns,
    "coverage": coverage.coverage,
    "steadiness": steadiness.steadiness,
    "aborting": aborting.aborting,
}


def main() -> None:
    """Runs the sections and writes their figures; those of sections left out are kept."""
    load_before = round(os.getloadavg()[0], 2)
    names = [name for name in os.environ.get("BENCH_ONLY", ",".join(SECTIONS)).split(",") if name]
    if unknown := set(names) - SECTIONS.keys():
        sys.exit(f"BENCH_ONLY: no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if "gevent" in sys.modules:
        sys.exit("bench: a section has imported gevent, whose patches wait for other children than subprocess does")
    found = {name: _measure(name) for name in names}
    known = {} if len(names) == len(SECTIONS) else _known_sections()
    sections = {name: found.get(name, known.get(name)) for name in SECTIONS if name in found or name in known}
    facts: dict[str, Any] = {
        "machine": machine.facts(),
        "versions": machine.versions(),
        "seconds": SECONDS,
        "rounds": ROUNDS,
        "load_before": load_before,
    }
    RESULTS.write_text(json.dumps(facts | {"sections": sections}, indent=2, ensure_ascii=False) + "\n")
    print(as_text({"sections": found}))
    print(f"written to {RESULTS}")


def _measure(name: str) -> list[dict[str, Any]]:
    began_s = time.monotonic()
    print(name, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        figures = [figure.told() for figure in SECTIONS[name](Path(folder))]
    print(f"  {time.monotonic() - began_s:.0f} s", flush=True)
    return figures


def _known_sections() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(RESULTS.read_text()).get("sections", {}) if RESULTS.exists() else {}
    return known


if __name__ == "__main__":
    main()
