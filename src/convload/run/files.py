"""The files of a run: those that it is made from, and the folder that it leaves."""

import contextlib
import hashlib
import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from convload import bundled, machine
from convload.errors import UsageError, why_unread
from convload.mistakes import suggest
from convload.origin import origin_of
from convload.payloads.catalogue import Catalogue, default_folder
from convload.plan.plan import Plan, cautions, marks
from convload.results.runlog import FILE_NAME, FORMAT, Manifest, Started

LATEST = "latest"
REPORTS = Path("reports")


class Inputs(msgspec.Struct, frozen=True):
    """The texts that a run sends to its workers; those that the plan does not name are empty."""

    payload_files: dict[str, str]
    locustfile: str
    ca_pem: str
    replay: str

    @property
    def sha256(self) -> dict[str, str]:
        """The sha256 of what decides which requests are sent, by name."""
        texts = {f"payloads/{name}": text for name, text in self.payload_files.items()}
        texts |= {"locustfile": self.locustfile, "replay": self.replay}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items() if text}


def read_inputs(plan: Plan) -> Inputs:
    """Reads the files of a plan; raises UsageError with every mistake of its payloads, or the file that is none."""
    catalogue = Catalogue.read(Path(plan.payloads) if plan.payloads else default_folder())
    if plan.mix not in catalogue.mixes:
        raise UsageError(f"mix {plan.mix!r}: there is no such mix{suggest(plan.mix, catalogue.mixes)}")
    locustfile = plan.locustfile or str(bundled.folder("locustfiles") / "create_conversation.py")
    texts = {"locustfile": locustfile, "ca_file": plan.ca_file, "replay": plan.replay}
    inputs = Inputs(dict(catalogue.files), *(_read_text(key, path) for key, path in texts.items()))
    _require_python(locustfile, inputs.locustfile)
    return inputs


def _require_python(path: str, text: str) -> None:
    try:
        compile(text, path, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # ValueError: it holds NUL
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UsageError(f"{path}{line}: {type(error).__name__}: {getattr(error, 'msg', error)}") from None


def _read_text(key: str, path: str | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{key}: {path}: cannot be read: {why_unread(error)}") from error


def manifest_of(plan: Plan, target: str, inputs: Inputs) -> Manifest:
    """Returns the manifest of a run that starts now, without what is known of its machine's ceiling."""
    return Manifest(
        FORMAT,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        msgspec.to_builtins(plan),
        machine.versions(),
        machine.facts(),
        target,
        notes=cautions(plan),
        stages=marks(plan.resolved_stages()),
        inputs=inputs.sha256,
        origin=origin_of(os.environ),
    )


def new_folder(plan: Plan, out: Path | None) -> Path:
    """Makes the run folder: exactly `out`, else `reports/<UTC time>-<plan>`, to which `reports/latest` points.

    Raises:
        UsageError: it is there already and not empty, or cannot be made.
    """
    try:
        folder = out or _own_folder(plan.name)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--out {folder}: is there already and not empty; name a new folder")
        (folder / FILE_NAME).touch(exist_ok=False)
        if out is None:
            _point_latest_to(folder)
    except OSError as error:
        raise UsageError(f"--out {out or REPORTS}: cannot be written: {error.strerror}") from error
    return folder


def _own_folder(name: str) -> Path:
    """Makes a folder below `reports/` that no other run has, though several begin within one second."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    base = f"{stamp}-{name}"
    for number in itertools.count(1):
        folder = REPORTS / (base if number == 1 else f"{base}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
    return folder


def _point_latest_to(folder: Path) -> None:
    link, fresh = folder.parent / LATEST, folder.parent / f".{LATEST}-{folder.name}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)  # of several runs that begin at once the last one


def remove_unless_started(folder: Path) -> None:
    """Takes back a folder that a failed set-up leaves with nothing measured in it."""
    if has_started(folder) or any(path.name != FILE_NAME for path in folder.iterdir()):
        return
    (folder / FILE_NAME).unlink(missing_ok=True)
    latest = folder.parent / LATEST
    if latest.is_symlink() and latest.readlink() == Path(folder.name):
        latest.unlink()
    folder.rmdir()


def has_started(folder: Path) -> bool:
    """Says whether the workers of a run were told to begin."""
    return started_unix_s(folder) is not None


def started_unix_s(folder: Path) -> float | None:
    """Returns the instant from which a run's seconds count, None where the workers were not told to begin."""
    try:
        with (folder / FILE_NAME).open("rb") as log:
            begins = b'{"record":"started"'
            line = next((line for line in log if line.startswith(begins) and line.endswith(b"\n")), None)
    except OSError:  # somebody has removed it; the coordinator writes it anew
        line = None
    return None if line is None else msgspec.json.decode(line, type=Started).at_unix_s
