"""`python -m supply.audit PIP-AUDIT`: asks for known vulnerabilities of what requirements.lock names.

Exit 1 where there is one. Where nobody could be asked (no network, or an index that serves no advisories, for which
pip-audit itself says "no known vulnerabilities"), it says that nothing was audited, and does not fail.
"""

import json
import subprocess
import sys
from typing import Any

from supply.lock import LOCK

TIMEOUT_S = 600


def main() -> int:
    """Prints what was found; returns the exit code."""
    command = [sys.argv[1], "--requirement", str(LOCK), "--disable-pip", "--require-hashes", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return _unaudited(str(error))
    except (ValueError, KeyError):
        return _unaudited((done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1])
    asked = [one for one in packages if "vulns" in one]
    if not asked:
        return _unaudited(f"the index serves no advisories for any of {len(packages)} packages")
    found = [_in_words(one, vulnerability) for one in asked for vulnerability in one["vulns"]]
    for line in found:
        print(line)
    skipped = f"; the index serves no advisories for {len(packages) - len(asked)}" * (len(asked) < len(packages))
    print(f"{len(found)} known vulnerabilities in {len(asked)} packages{skipped}")
    return 1 if found else 0


def _unaudited(why: str) -> int:
    print(f"not audited: {why}")
    return 0


def _in_words(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    mended = ", ".join(vulnerability.get("fix_versions", [])) or "none yet"
    return f"{package['name']} {package['version']}: {vulnerability['id']}, mended in: {mended}"


if __name__ == "__main__":
    sys.exit(main())
