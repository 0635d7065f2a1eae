"""`python -m supply.sbom FILE`: writes the bill of materials of convload, CycloneDX 1.6 in JSON.

The packages are those of requirements.lock with all the hashes that it allows, and what is vendored. Those that only
development needs have the scope `excluded`. The same lock gives the same bytes: no time and no chance is in them.
"""

import importlib.metadata
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

from supply.lock import LOCK, OURSELVES, ROOT, Package, read_lock, shipped

VENDORED = ROOT / "src" / "convload" / "report" / "assets" / "uplot"

Json = dict[str, Any]


def main() -> int:
    """Writes the file."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    bill = describe(LOCK.read_text(encoding="utf-8"))
    path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{path}: {len(bill['components'])} components")
    return 0


def describe(lock: str) -> Json:
    """Returns the bill of materials of a lock."""
    packages = read_lock(lock)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    in_use = shipped(packages)
    purl = f"pkg:pypi/{OURSELVES}@{project['version']}"
    ours = {
        "type": "application",
        "bom-ref": purl,
        "purl": purl,
        "name": OURSELVES,
        "version": project["version"],
        "description": project["description"],
        "licenses": [{"expression": project["license"]}],
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{purl} {lock}')}",
        "version": 1,
        "metadata": {"component": ours},
        "components": [*(_component(one, one.name in in_use) for one in packages), _uplot()],
        "dependencies": _dependencies(packages, purl),
    }


def _component(package: Package, shipped: bool) -> Json:
    described: Json = {
        "type": "library",
        "bom-ref": _reference(package),
        "purl": _reference(package),
        "name": package.name,
        "version": package.version,
        "scope": "required" if shipped else "excluded",
        "hashes": [{"alg": "SHA-256", "content": one} for one in package.hashes],
    }
    if package.marker:
        described["properties"] = [{"name": "convload:installed-where", "value": package.marker}]
    return described | _licence(package)


def _licence(package: Package) -> Json:
    """Returns the licence as SPDX where the package is installed and names it so."""
    try:
        found = importlib.metadata.metadata(package.name)
    except importlib.metadata.PackageNotFoundError:
        return {}
    expression = found["License-Expression"] if found["Version"] == package.version else None
    return {"licenses": [{"expression": expression}]} if expression else {}


def _uplot() -> Json:
    found = re.match(r"# uPlot (\S+)", (VENDORED / "README.md").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{VENDORED}/README.md does not begin with the version of uPlot")
    purl = f"pkg:npm/uplot@{found[1]}"
    return {
        "type": "library",
        "bom-ref": purl,
        "purl": purl,
        "name": "uplot",
        "version": found[1],
        "scope": "required",
        "licenses": [{"expression": "MIT"}],
        "properties": [{"name": "convload:vendored-in", "value": VENDORED.relative_to(ROOT).as_posix()}],
    }


def _dependencies(packages: list[Package], ours: str) -> list[Json]:
    parents = {ours: OURSELVES} | {_reference(one): one.name for one in packages}
    needs: dict[str, list[str]] = {_uplot()["bom-ref"]: []}
    for reference, name in parents.items():
        needs[reference] = [_reference(one) for one in packages if {name, f"{name}:dev"} & set(one.needed_by)]
    needs[ours].append(_uplot()["bom-ref"])
    return [{"ref": reference, "dependsOn": sorted(found)} for reference, found in sorted(needs.items())]


def _reference(package: Package) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"


if __name__ == "__main__":
    sys.exit(main())
