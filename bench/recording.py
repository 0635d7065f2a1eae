"""What the results of a request cost, here and in another checkout in turns: `python -m bench.recording OTHER`.

It is CPU time of the recorder alone, with all that it does once a second: what a result is kept as, histograms, the
requests that are kept whole. A second is 2,000 requests of 14 variants.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from convload.load.recorder import Recorder, Result

SECONDS, A_SECOND, VARIANTS = 20, 2_000, 14
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))


def cost_us() -> float:
    """Returns the CPU time of one request, in microseconds."""
    recorder = Recorder(0)
    recorder.started_s = 0.0
    names = [f"variant {n}" for n in range(VARIANTS)]
    began_s = time.process_time()
    for second in range(SECONDS):
        for n in range(A_SECOND):
            due_s = second + n / A_SECOND
            took_s = 0.002 + (n * 7919 % 1000) / 1e6
            recorder.record(Result("conversation.create", "ok", due_s, due_s, due_s + took_s, names[n % VARIANTS], n))
        recorder.take()
    return (time.process_time() - began_s) / (SECONDS * A_SECOND) * 1e6


def main() -> int:
    """Prints the cost of each checkout, and by how much they differ."""
    if len(sys.argv) == 1:
        print(cost_us())
        return 0
    checkouts = [Path(sys.argv[1]), Path.cwd()]
    rounds = [[_cost_of(at) for at in checkouts] for _ in range(ROUNDS)]
    there, here = (statistics.median(own) for own in zip(*rounds, strict=True))
    print(f"{there:.2f} µs there, {here:.2f} µs here, {here - there:+.2f} µs a request; medians of {ROUNDS} in turns")
    return 0


def _cost_of(checkout: Path) -> float:
    environment = os.environ | {"PYTHONPATH": f"{checkout / 'src'}:{Path.cwd()}"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.recording"], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
