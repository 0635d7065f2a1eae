"""Writes a run log, whatever others do to the file meanwhile."""

import errno
import os
import shutil
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import msgspec

from convload.results.runlog import FILE_NAME, Interval, Manifest, Note, Record, Together

_encoder = msgspec.json.Encoder()
_RESULTS = (Interval, Together)

RESERVE_BYTES = 1024 * 1024
"""For the end of the log and the reports, which are some hundred kilobytes."""


def reserve(path: Path) -> None:
    """Takes room on the disk beside a run log, if there is any: a run whose disk is full can then still tell of it."""
    try:
        with _reserve(path).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    except OSError:
        release(path)


def release(path: Path) -> None:
    """Gives back what was reserved."""
    with suppress(OSError):
        _reserve(path).unlink()


def begin(path: Path, manifest: Manifest) -> None:
    """Writes the first line of a run log: whole for whoever reads or is killed at any moment, or not at all.

    Raises:
        OSError: the disk is full or broken.
    """
    part = _part(path)
    try:
        part.write_bytes(_encoder.encode(manifest) + b"\n")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class RunLogWriter:
    """Appends records to a run log; each is on its way to the disk before `write` returns.

    Others may remove or replace the file, or cut it, while it is written. That is noticed with the next record. An open
    file outlives its name, so what was removed is written anew whole. Of what was cut all is lost but what is no
    interval, which is kept here.

    Args:
        path: where it is.
        on_damage: is told what became of it.
    """

    def __init__(self, path: Path, on_damage: Callable[[str], None] = lambda _: None) -> None:
        self._path, self._on_damage = path, on_damage
        self._file = path.open("ab+", buffering=0)
        self._file.seek(0)
        self._kept = list(filter(None, [self._file.readline()]))
        self._size = 0

    def write(self, record: Record) -> None:
        """Appends one record, or nothing at all.

        Raises:
            OSError: the disk is full or broken.
        """
        at_s = record.to_s if isinstance(record, _RESULTS) else getattr(record, "at_s", 0.0)
        self.mend(at_s)
        line = _encoder.encode(record) + b"\n"
        self._append(line)
        if not isinstance(record, _RESULTS):
            self._kept.append(line)

    def mend(self, at_s: float) -> None:
        """Sees to it that the file is there and begins with its manifest; what had to be done is noted in it.

        Raises:
            OSError: it cannot be written anew.
        """
        if not _is_same(self._path, self._file.fileno()):
            self._write_anew()
            text = f"{FILE_NAME} was removed or replaced in the middle of the run; it was written anew, nothing is lost"
            damage = Note(at_s, text)
        elif lost := self._cut():
            text = f"{FILE_NAME} was cut or overwritten in the middle of the run; {lost:,} bytes or more are lost"
            damage = Note(at_s, text, invalidates=True)
        else:
            return
        self._on_damage(damage.text)
        self._append(_encoder.encode(damage) + b"\n")

    def _append(self, line: bytes) -> None:
        written = self._file.write(line)
        if written < len(line):
            # Half a line would make what comes after it unreadable.
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size = os.fstat(self._file.fileno()).st_size

    def _write_anew(self) -> None:
        old, first = self._file, self._kept[0] if self._kept else b""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError), self._path.open("rb") as there:
            if first and there.readline() == first:  # the other process that writes to it was faster
                self._file = self._path.open("ab+", buffering=0)
                old.close()
                return
        part = _part(self._path)
        old.seek(0)
        with part.open("wb") as anew:
            shutil.copyfileobj(old, anew)
        part.replace(self._path)
        self._file = self._path.open("ab+", buffering=0)
        old.close()

    def _cut(self) -> int:
        """Puts back what is known of a file that lost some bytes, and returns how many; 0 if it is whole."""
        fd, first = self._file.fileno(), self._kept[0] if self._kept else b""
        size, begins_well = os.fstat(fd).st_size, os.pread(self._file.fileno(), len(first), 0) == first
        if size >= self._size and begins_well:
            return 0
        if not begins_well:
            os.ftruncate(fd, 0)
            self._file.write(b"".join(self._kept))
        elif os.pread(fd, 1, size - 1) != b"\n":
            self._file.write(b"\n")
        return max(self._size - size, 1)

    def close(self) -> None:
        """Waits until the disk has everything."""
        with suppress(OSError):  # a full or broken disk, of which it was told before
            os.fsync(self._file.fileno())
        self._file.close()


class PatientWriter:
    """Appends records to a run log; while there is no room for them they wait in memory, in their order."""

    def __init__(self, path: Path, on_damage: Callable[[str], None]) -> None:
        self._path = path
        self._log = RunLogWriter(path, on_damage)
        self._waiting: deque[Record] = deque()

    def write(self, record: Record) -> str:
        """Appends a record behind those that wait; returns why they wait, nothing when all are written."""
        self._waiting.append(record)
        try:
            while self._waiting:
                self._log.write(self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def end(self, at_s: float) -> str:
        """Ends the log; returns what found no room, which is told in it too, in what was reserved for that."""
        waiting = list(self._waiting)
        self._waiting.clear()
        release(self._path)
        lost = [record for record in waiting if isinstance(record, _RESULTS)]
        notes = [Note(at_s, _told(lost), invalidates=True)] if lost else []
        for record in (*notes, *(one for one in waiting if not isinstance(one, _RESULTS))):
            self.write(record)
        self._log.close()
        return _told([*lost, *self._waiting]) if lost or self._waiting else ""


def _told(lost: Collection[Record]) -> str:
    results = sum(sum(record.counts) for record in lost if isinstance(record, Together))
    return (
        f"{len(lost):,} records of the run log could not be written, as there was no room for them; "
        f"the results of {results:,} requests in them are in no figure"
    )


def _reserve(path: Path) -> Path:
    return path.with_name(f".{path.name}.reserve")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _is_same(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except OSError:
        return False
