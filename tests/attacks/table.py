"""`python -m tests.attacks.table`: counts the cases of each attack and writes them into docs/reliability.md."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
ATTACKS = "tests/attacks/"
ROW = re.compile(r"^\| (?P<attack>.*?) \| (?P<tried>[\d, +]+) \| (?P<held>.*) \|$", re.MULTILINE)
NAMED = re.compile(r"`((?:[a-z_]+/)*test_\w+\.py)`")


def counted(files: set[str]) -> Counter[str]:
    """Returns how many cases pytest collects of each file."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *sorted(files)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return Counter({file: int(count) for file, count in re.findall(r"^(\S+): (\d+)$", told, re.MULTILINE)})


def files_of(attack: str) -> list[str]:
    """Returns the files that a row names; without a folder they are attacks."""
    return [name if "/" in name else ATTACKS + name for name in NAMED.findall(attack)]


def main() -> None:
    """Writes the page, and tells how many cases there are."""
    page = PAGE.read_text("utf-8")
    rows = [match["attack"] for match in ROW.finditer(page) if files_of(match["attack"])]
    cases = counted({file for row in rows for file in files_of(row)})

    def renewed(match: re.Match[str]) -> str:
        files = files_of(match["attack"])
        tried = " + ".join(f"{cases[file]:,}" for file in files) or match["tried"]
        return f"| {match['attack']} | {tried} | {match['held']} |"

    PAGE.write_text(ROW.sub(renewed, page), "utf-8")
    known = {ATTACKS + path.name for path in Path(__file__).parent.glob("test_*.py")}
    sys.stdout.write(f"{len(rows)} rows, {cases.total():,} cases\n")
    for file in sorted(known - cases.keys()):
        sys.stdout.write(f"in no row: {file}\n")


if __name__ == "__main__":
    main()
