"""Reads the runs of one side of a comparison, and says which of them are no evidence."""

from pathlib import Path

import msgspec

from convload.comparison.conclusion import Conclusion, conclude
from convload.errors import RunLogError, UsageError
from convload.judging import validity
from convload.results import runlog
from convload.results.run import Run
from convload.results.runlog import RunLog


class ComparedRun(msgspec.Struct, frozen=True):
    """A run that could be read: `folder` as it was given, and what follows from its log."""

    folder: str
    log: RunLog
    conclusion: Conclusion

    @property
    def seed(self) -> int:
        """The seed of its payloads."""
        return self.conclusion.summary.seed


def folders_of(path: Path) -> list[Path]:
    """Returns the run folders that a path stands for: itself, or those directly in it, by name.

    A link to a run folder beside the folder itself (`latest`) is the same run, and is left out. Raises UsageError
    where there is no run in it.
    """
    if path.is_file() or (path / runlog.FILE_NAME).is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder; name a run folder, or a folder of run folders")
    found: dict[Path, Path] = {}
    for inner in sorted(path.iterdir(), key=lambda inner: (inner.is_symlink(), inner.name)):
        if (inner / runlog.FILE_NAME).is_file():
            found.setdefault(inner.resolve(), inner)
    if not found:
        raise UsageError(f"{path}: has no {runlog.FILE_NAME}, nor has a folder in it; name a run folder")
    return list(found.values())


def read_side(paths: list[Path]) -> list[ComparedRun]:
    """Reads all runs of a side; raises UsageError with every run that cannot be read, or stands there twice."""
    folders = [folder for path in paths for folder in folders_of(path)]
    problems, runs, seen = [], [], set()
    for folder in folders:
        if folder.resolve() in seen:
            problems.append(f"{folder}: is named twice on one side; a repeated run is a run of its own")
            continue
        seen.add(folder.resolve())
        try:
            runs.append(read_run(folder))
        except RunLogError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems)
    return runs


def read_run(folder: Path) -> ComparedRun:
    """Reads one run; raises RunLogError where its log is missing, damaged or of another format version."""
    log = runlog.read(folder)
    try:
        return ComparedRun(str(folder), log, conclude(log))
    except RunLogError as error:
        raise RunLogError(*(f"{folder}: {problem}" for problem in error.problems)) from error


def unsound(run: ComparedRun) -> list[str]:
    """Says why a run is no evidence; empty if it is."""
    return validity.unsound(Run(run.log), run.conclusion.validity)
