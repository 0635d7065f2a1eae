"""Reads the files that a run needs besides its plan, and writes the manifest that says what is run."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from convload import bundled, machine
from convload.errors import UsageError
from convload.payloads.catalogue import Catalogue, default_folder
from convload.plan.plan import Plan, marks
from convload.results.runlog import FORMAT, Manifest


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
    locustfile = plan.locustfile or str(bundled.folder("locustfiles") / "create_conversation.py")
    texts = {"locustfile": locustfile, "ca_file": plan.ca_file, "replay": plan.replay}
    return Inputs(dict(catalogue.files), *(_read_text(key, path) for key, path in texts.items()))


def _read_text(key: str, path: str | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{key}: {path}: cannot be read: {error}") from error


def manifest_of(plan: Plan, target: str, inputs: Inputs) -> Manifest:
    """Returns the manifest of a run that starts now, without what is known of its machine's ceiling."""
    return Manifest(
        FORMAT,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        msgspec.to_builtins(plan),
        machine.versions(),
        machine.facts(),
        target,
        stages=marks(plan.resolved_stages()),
        inputs=inputs.sha256,
    )
