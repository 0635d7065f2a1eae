"""`python -m fuzz`: each target in a process of its own, its share of the time; exit 1 where one was broken."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from convload.machine import SINGLE_THREADED
from fuzz.targets import TARGETS, current, keep

ROOT = Path(__file__).parent.parent

START_S = 120.0
"""What a target may take besides its share: to start, and to try what is kept."""


def main() -> int:
    """Runs the targets one after another, prints a line for each, and returns the exit code."""
    asked = _arguments()
    names = asked.targets or list(TARGETS)
    share_s = asked.seconds / len(names)
    outcomes = [_fuzz(name, share_s, asked.examples, asked.seed) for name in names]
    total = sum(count for count, _ in outcomes)
    broken = sum(crashes for _, crashes in outcomes)
    print(f"{total:,} executions of {len(names)} targets, {broken} crashes; seed {asked.seed}")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help="what to fuzz, all without"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together, 60 without")
    parser.add_argument("--examples", type=int, default=10**9, help="most inputs for each target")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)), help="any number; drawn without")
    return parser.parse_args()


def _fuzz(name: str, seconds: float, examples: int, seed: int) -> tuple[int, int]:
    """Returns how many inputs a target was given, and how many of them broke it."""
    command = [sys.executable, "-m", "fuzz.one", name, str(seconds), str(examples), str(seed)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT, env=dict(os.environ) | SINGLE_THREADED, text=True
    ) as child:
        try:
            out, _ = child.communicate(timeout=seconds + START_S)
            found = json.loads(out.splitlines()[-1])
        except (subprocess.TimeoutExpired, IndexError, ValueError):
            child.kill()
            found = {"executions": 0, "outcomes": 0, "crashes": [_died(name, child)]}
    print(f"{name:<11} {found['executions']:>9,} executions, {found['outcomes']:>5} outcomes", flush=True)
    for crash in found["crashes"]:
        print(f"{'':<11} CRASH {crash}", flush=True)
    return found["executions"], len(found["crashes"])


def _died(name: str, child: subprocess.Popen[str]) -> str:
    """Keeps the input that ended a process, if one did."""
    code, path = child.wait(), current(child.pid)
    if not path.exists():
        return f"ended with {code}"
    kept = keep(name, path.read_bytes())
    path.unlink()
    return f"{kept.relative_to(ROOT)}: ended with {code}"


if __name__ == "__main__":
    sys.exit(main())
