"""What a reader of a report types to see a payload again, and to send it once more."""

import shlex
from typing import Any

from convload.contract import paths
from convload.plan.plan import MOCK
from convload.report.document import visible
from convload.results.runlog import Manifest


def show(manifest: Manifest, index: int) -> str:
    """Returns the command that builds the payload of an index again, byte for byte."""
    words = ["convload", "payloads", "show"]
    for key in ("seed", "mix", "account", "payloads"):
        if value := manifest.plan.get(key):
            words += [f"--{key}", value]
    return _joined([*words, "--index", index])


def send(manifest: Manifest, index: int) -> str:
    """Returns the command that sends it again; tokens stand in variables of the shell, which no report knows."""
    plan = manifest.plan
    url = _service(manifest) + paths.create(str(plan.get("account", "")))
    tokens = [f'"{paths.AUTHORIZATION}: $APP_TOKEN"', f'"{paths.ON_BEHALF}: $CONSUMER_TOKEN"']
    headers = " ".join(f"-H {one}" for one in ("'Content-Type: application/json'", *tokens))
    return f"{show(manifest, index)} --raw | curl -i {headers} --data-binary @- {_joined([url])}"


def _service(manifest: Manifest) -> str:
    """Returns where creates go; where a look-up names it, only those who look it up know it."""
    looked_up = manifest.plan.get("lookup") and manifest.plan.get("target") != MOCK
    return "https://HOST_OF_ASYNC_MESSAGING" if looked_up else manifest.target


def _joined(words: list[Any]) -> str:
    return " ".join(shlex.quote(visible(str(word))) for word in words)
