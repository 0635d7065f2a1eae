"""Counts what it takes to live in this code, side by side with another checkout: `python -m bench.house [OTHER] [RUN]`.

RUN is a run folder: with one the CPU time of its ending (log to reports) is measured too, in turns.
"""

import ast
import os
import re
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

SMALL_FILE = 50
ROUNDS = 5
TEXTS = {".py", ".html", ".js", ".css"}
PLAN_PARTS = {"Plan", "Behaviour", "ValidityLimits", "RetryPolicy"}
ON_THE_WAY = re.compile(
    r"load/recorder\.py|results/(?!comparison/|limits|capacity_result|ceiling|gates/(?:gate|grammar|names)\.).*|judging/(?!alike).*|comparison/conclusion\.py"
)
"""From a request to a report: what is recorded, what was measured, what follows."""


def sources(checkout: Path) -> Iterator[Path]:
    """Yields the Python files of the package."""
    yield from sorted((checkout / "src" / "convload").rglob("*.py"))


def code_lines(path: Path) -> int:
    """Counts the lines that are code: no blank ones, no comments, no docstrings."""
    tree = ast.parse(path.read_text())
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not _is_text(node):
            found.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    texts = {
        n
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and _is_text(node)
        for n in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = path.read_text().splitlines()
    return sum(bool(lines[n - 1].strip()) and not lines[n - 1].lstrip().startswith("#") for n in found - texts)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Yields the classes of a file."""
    yield from (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))


def functions(path: Path) -> Iterator[int]:
    """Yields the length of each function, without its docstring."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = body[0].lineno if body else node.lineno
            yield (node.end_lineno or first) - first + 1


def texts_of(checkout: Path) -> list[Path]:
    """Returns what people wrote in src: code, templates, styles; nothing vendored."""
    files = (path for path in (checkout / "src").rglob("*") if path.suffix in TEXTS)
    return [path for path in files if "uplot" not in path.parts]


def types_on_the_way(checkout: Path) -> int:
    """Counts the types between a request and a report."""
    package = checkout / "src" / "convload"
    on_it = (path for path in sources(checkout) if ON_THE_WAY.fullmatch(str(path.relative_to(package))))
    return sum(1 for path in on_it for _ in classes(path))


def plan_keys(checkout: Path) -> int:
    """Counts the keys that a plan may have, those of its tables too."""
    found = [one for path in sources(checkout) for one in classes(path) if one.name in PLAN_PARTS]
    return sum(isinstance(item, ast.AnnAssign) for one in found for item in one.body)


def import_rules(checkout: Path) -> str:
    """Counts the layers of imports, and the modules that the other rules name."""
    rules = tomllib.loads((checkout / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = sum(len(rule.get("layers", [])) for rule in rules)
    return f"{layers}, {sum(len(rule.get('source_modules', [])) for rule in rules)}"


def ending_cpu_s(checkout: Path, run: Path) -> float:
    """Measures the CPU time that it takes to make the reports of a run from its log, imports included."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copytree(run, Path(folder) / "run")
        before = os.times()
        command = [sys.executable, "-m", "convload.cli", "report", str(copy)]
        environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


FIGURES: dict[str, Callable[[Path], object]] = {
    "lines of src, Python": lambda at: sum(len(path.read_text().splitlines()) for path in sources(at)),
    "lines of src, with templates and scripts": lambda at: sum(
        len(path.read_text().splitlines()) for path in texts_of(at)
    ),
    "files": lambda at: len(list(sources(at))),
    "modules at the top": lambda at: len(list((at / "src" / "convload").glob("[!_]*.py"))),
    "files under 50 code lines": lambda at: sum(
        code_lines(path) < SMALL_FILE for path in sources(at) if path.name not in {"__init__.py", "__main__.py"}
    ),
    "classes": lambda at: sum(1 for path in sources(at) for _ in classes(path)),
    "types between a request and a report": types_on_the_way,
    "functions": lambda at: sum(1 for path in sources(at) for _ in functions(path)),
    "median function, lines": lambda at: statistics.median(n for path in sources(at) for n in functions(path)),
    "keys of a plan": plan_keys,
    "import layers, modules named by other rules": import_rules,
}


def main() -> int:
    """Prints the figures of this checkout, and of another one before it."""
    here, others = Path.cwd(), [Path(argument) for argument in sys.argv[1:2]]
    checkouts = [*others, here]
    for name, count in FIGURES.items():
        print(f"{name:<46}", *(f"{count(at)!s:>10}" for at in checkouts))
    if len(sys.argv) > len(checkouts):
        run = Path(sys.argv[2])
        rounds = [[ending_cpu_s(at, run) for at in checkouts] for _ in range(ROUNDS)]
        medians = [statistics.median(own) for own in zip(*rounds, strict=True)]
        print(f"{'CPU of the ending of a run, s':<46}", *(f"{cpu_s:>10.2f}" for cpu_s in medians))
    return 0


if __name__ == "__main__":
    sys.exit(main())
