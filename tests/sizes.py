"""Holds the code to its sizes: lines of files, lines of functions and their median, characters of test names."""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 60
MEDIAN_LINES = 8
TEST_NAME = 80


def main() -> int:
    """Prints what is too long; returns the exit code."""
    files = sorted(Path("src").rglob("*.py"))
    sizes = [found for path in files for found in _functions(path)]
    median = statistics.median(lines for lines, _ in sizes)
    problems = [f"{path}: {lines} lines" for path in files if (lines := _line_count(path)) > FILE_LINES]
    problems += [f"{where}: {lines} lines" for lines, where in sizes if lines > FUNCTION_LINES]
    problems += [f"{where}: its name has over {TEST_NAME} characters" for where in _long_test_names()]
    problems += [f"{path}: says nowhere what it is for" for path in files if not _has_docstring(path)]
    if median > MEDIAN_LINES:
        problems.append(f"the median function has {median:g} lines")
    for problem in problems:
        print(problem)  # noqa: T201 -- a script that prints what it finds
    print(f"{len(files)} files, {len(sizes)} functions, median {median:g} lines")  # noqa: T201 -- as above
    return 1 if problems else 0


def _functions(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = body[0].lineno if body else node.lineno
            yield (node.end_lineno or first) - first + 1, f"{path}:{node.lineno} {node.name}"


def _long_test_names() -> Iterator[str]:
    """A test's name states one fact; what needs more room states two."""
    for path in sorted(Path("tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > TEST_NAME:
                yield f"{path}:{node.lineno}"


def _line_count(path: Path) -> int:
    return len(path.read_text().splitlines())


def _has_docstring(path: Path) -> bool:
    return bool(ast.get_docstring(ast.parse(path.read_text())))


if __name__ == "__main__":
    sys.exit(main())
