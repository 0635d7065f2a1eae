"""What a worker lets itself be told by a coordinator: where to fire, what to run, what to trust."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from convload import bundled
from convload.addresses import split_origin
from convload.errors import UsageError
from convload.plan.plan import Plan, host_allowed
from convload.plan.sources import CREDENTIALS, ENVIRONMENT_PREFIX

ANY = "any"
ALLOW_HOSTS = ENVIRONMENT_PREFIX + "ALLOW_HOSTS"
CA_FILE = ENVIRONMENT_PREFIX + "CA_FILE"

_SHA256 = re.compile("[0-9a-f]{64}")


class Rules(msgspec.Struct, frozen=True):
    """The rules of one worker; one that a run starts itself gets them from its parent, by the same pipe as its key.

    Attributes:
        hosts: what may be fired at, and given credentials, as in a plan's `allow_hosts`; loopback may always.
        code: the SHA-256 of locustfiles that may run, or `ANY`.
        unverified: whether certificates may go unchecked.
        ca_pem: certificates to trust in place of the system's, "" for the system's.
        source_addresses: addresses of its machine that connections leave from.
    """

    hosts: list[str] = []
    code: list[str] = []
    unverified: bool = False
    ca_pem: str = ""
    source_addresses: list[str] = []

    @classmethod
    def of_run(cls, plan: Plan, locustfile: str, ca_pem: str) -> "Rules":
        """Returns the rules by which a run's own workers do what its plan says."""
        return cls(plan.allow_hosts, [sha256_of(locustfile)], not plan.verify_tls, ca_pem, plan.source_addresses)

    @classmethod
    def of_flags(
        cls,
        hosts: Iterable[str],
        code: Iterable[str],
        environment: Mapping[str, str],
        *,
        unverified: bool,
        ca_file: str | None = None,
        source_addresses: Iterable[str] = (),
    ) -> "Rules":
        """Returns the rules that a user gives; bundled locustfiles may always run.

        Raises:
            UsageError: a locustfile is named by what is no SHA-256, or a file cannot be read.
        """
        code = [one.lower() for one in code]
        if wrong := [one for one in code if one != ANY and not _SHA256.fullmatch(one)]:
            raise UsageError(
                *(f"--allow-code: {one!r} must be the SHA-256 of a locustfile (sha256sum)" for one in wrong)
            )
        named = [part.strip() for part in environment.get(ALLOW_HOSTS, "").split(",") if part.strip()]
        known = [sha256_of(file.read_text("utf-8")) for file in bundled.folder("locustfiles").glob("*.py")]
        ca_file = ca_file or environment.get(CA_FILE)
        ca_pem = _read_ca(ca_file) if ca_file else ""
        return cls(list(hosts) or named, [*code, *known], unverified, ca_pem, list(source_addresses))

    def apply(self, plan: Plan, targets: Iterable[str], locustfile: str, variables: Iterable[str]) -> Plan:
        """Returns the plan with this worker's hosts, which a look-up is held to, and its source addresses.

        Raises:
            UsageError: the plan asks for what is not allowed here; nothing has been contacted or run.
        """
        if problems := [*self._problems(plan, targets, locustfile, variables)]:
            raise UsageError(*problems)
        return msgspec.structs.replace(plan, allow_hosts=self.hosts, source_addresses=self.source_addresses)

    def _problems(self, plan: Plan, targets: Iterable[str], locustfile: str, variables: Iterable[str]) -> Iterator[str]:
        for target in targets:
            origin = split_origin(target)
            host = origin.hostname if origin else None
            if host is None or not host_allowed(host, self.hosts):
                yield (
                    f"worker: it is not to fire at {host or repr(target)}; "
                    f"start it with --allow-host {host or 'HOST'} or {ALLOW_HOSTS} if it may"
                )
        found = sha256_of(locustfile)
        if ANY not in self.code and found not in self.code:
            yield (
                "worker: the run's locustfile is none of those that it may run; look at the file, and start it with "
                f"--allow-code {found} if it may"
            )
        if not plan.verify_tls and not self.unverified:
            yield "worker: it checks certificates and the plan says verify_tls = false; --allow-unverified-tls lets it"
        if plan.ca_file and plan.verify_tls and not self.ca_pem:
            yield (
                "worker: the run trusts certificates of its own (ca_file), and whom it trusts a worker decides for "
                f"itself; give it the file too, with --ca-file FILE or {CA_FILE}"
            )
        if foreign := sorted(set(variables) - set(CREDENTIALS)):
            yield f"worker: a run sets no variables but those of credentials, and not {', '.join(foreign)[:100]!r}"


def _read_ca(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ca-file: {path}: cannot be read: {error}") from error


def sha256_of(locustfile: str) -> str:
    """Returns what names a locustfile by its text."""
    return hashlib.sha256(locustfile.encode()).hexdigest()
