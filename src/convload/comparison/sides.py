"""Reads the runs of one side of a comparison, and says which of them are no evidence."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from convload.comparison.batches import Batch, Clock, batches_of, batches_of_pieces, pieces_of
from convload.comparison.conclusion import Conclusion, conclude
from convload.errors import RunLogError, UsageError
from convload.judging import baseline, validity
from convload.judging.alike import Likeness, compare_kinds, run_kind
from convload.judging.baseline import Baseline
from convload.results import runlog
from convload.results.measured import Figures
from convload.results.run import Run
from convload.results.runlog import RunLog

Steps = Mapping[str, Figures]
"""All that a run measured, by step."""


class RunFacts(msgspec.Struct, frozen=True):
    """A run that was compared. `unsound` says why it is no evidence, where it was compared by force.

    `warnings` is what a reader of its own report is told beside the figures.
    """

    folder: str
    started: str
    plan: str
    seed: int
    duration_s: float
    requests: int
    unsound: list[str]
    warnings: list[str] = []


class ComparedRun(msgspec.Struct, frozen=True):
    """A run that could be read: `folder` as it was given, and what follows from its log."""

    folder: str
    log: RunLog
    conclusion: Conclusion

    @property
    def seed(self) -> int:
        """The seed of its payloads."""
        return self.conclusion.summary.seed

    @property
    def facts(self) -> RunFacts:
        """What a comparison tells of it."""
        summary = self.conclusion.summary
        return RunFacts(
            folder=self.folder,
            started=summary.started,
            plan=summary.plan,
            seed=summary.seed,
            duration_s=summary.duration_s,
            requests=sum(step.count for step in summary.steps.values()),
            unsound=unsound(self),
            warnings=validity.warnings_of(summary.notes, self.conclusion.validity),
        )

    @property
    def steps(self) -> Steps:
        """All that was measured."""
        return self.conclusion.run.steps

    def batches(self, clock: Clock) -> dict[str, list[Batch]]:
        """Returns what a comparison sees of it."""
        return batches_of(self.log, clock)


class KeptRun(msgspec.Struct, frozen=True):
    """A run of which a baseline is left, whose file is `folder`; only valid runs are kept."""

    folder: str
    kept: Baseline

    @property
    def facts(self) -> RunFacts:
        """What a comparison tells of it."""
        identity = self.kept.identity
        return RunFacts(
            folder=self.folder,
            started=identity.started,
            plan=identity.plan,
            seed=int(identity.kind.settings.get("seed", 0)) if identity.kind else 0,
            duration_s=round(self.kept.flows[""].length_s, 3),
            requests=sum(figures.count for figures in self.steps.values()),
            unsound=[],
            warnings=self.kept.warnings,
        )

    @property
    def steps(self) -> Steps:
        """All that was measured."""
        return self.kept.totals().steps

    def batches(self, clock: Clock) -> dict[str, list[Batch]]:
        """Returns what a comparison sees of it."""
        return batches_of_pieces(self.kept.pieces, clock)


Compared = ComparedRun | KeptRun


def keep(path: Path) -> Baseline:
    """Makes of a run log all that is kept of it; raises UsageError where it supports no statement, with all reasons."""
    made = baseline.of_file(path)
    return msgspec.structs.replace(made, pieces=pieces_of(runlog.read(path)))


def likeness(base: Compared, new: Compared) -> Likeness:
    """Returns how like two runs are; a kept one says nothing of account and host."""
    if isinstance(base, ComparedRun) and isinstance(new, ComparedRun):
        return compare_kinds(run_kind(base.log.manifest), run_kind(new.log.manifest))
    one, other = (
        run.kept.identity if isinstance(run, KeptRun) else baseline.identity_of(run.log.manifest) for run in (base, new)
    )
    return baseline.likeness(one, other)


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


def read_side(paths: list[Path]) -> list[Compared]:
    """Reads all runs of a side; raises UsageError with every run that cannot be read, or stands there twice."""
    folders = [folder for path in paths for folder in folders_of(path)]
    problems, seen = list[str](), set[Path]()
    runs = list[Compared]()
    for folder in folders:
        if folder.resolve() in seen:
            problems.append(f"{folder}: is named twice on one side; a repeated run is a run of its own")
            continue
        seen.add(folder.resolve())
        try:
            runs.append(_read_kept(folder) if folder.suffix == ".json" else read_run(folder))
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


def _read_kept(file: Path) -> KeptRun:
    kept = baseline.load(file)
    if not kept.pieces:
        raise UsageError(f"{file}: an earlier version kept too little of it to compare; `baseline save` it again")
    return KeptRun(str(file), kept)


def unsound(run: ComparedRun) -> list[str]:
    """Says why a run is no evidence; empty if it is."""
    return validity.unsound(Run(run.log), run.conclusion.validity)
