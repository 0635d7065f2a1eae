"""Prints bench/results.json as a Markdown table: figure, measured, target, command."""

import json

from bench.figures import rows
from bench.tools import ROOT


def main() -> None:
    """Prints the table."""
    results = json.loads((ROOT / "results.json").read_text())
    print("| figure | measured | target | met | command |")
    print("|---|---|---|---|---|")
    for section, figure, value, target, met in rows(results):
        print(f"| {figure} | {value} | {target} | {met} | `make bench BENCH_ONLY={section}` |")


if __name__ == "__main__":
    main()
