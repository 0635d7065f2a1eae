import json
from pathlib import Path
from typing import Any

import pytest

from convload import bundled
from convload.payloads.catalogue import Catalogue, survey


@pytest.fixture(scope="session")
def folder() -> Path:
    return bundled.folder("payloads")


@pytest.fixture(scope="session")
def catalogue(folder: Path) -> Catalogue:
    return Catalogue.read(folder)


class Files:
    """Texts of a small folder of payloads, to be changed by a test and then read."""

    minimal = (
        {"kind": "req", "id": "1,", "type": "userprofile.SetUserProfile", "body": {}},
        {"kind": "req", "id": "2,", "type": "cm.ConsumerRequestConversation", "body": {"brandId": "${account}"}},
    )

    def __init__(self) -> None:
        self.texts = {"mixes.toml": "[default]\n'variants/*' = 1\n", "pools/skills.txt": "11\n22\n"}
        self.add("variants/plain.json", self.minimal)

    def add(self, path: str, payload: Any, **metadata: Any) -> None:
        document = {"description": "A variant.", **metadata, "payload": payload}
        self.texts[path] = json.dumps(document, indent=1)

    def problems(self) -> list[str]:
        return survey(self.texts, "payloads")[1]

    def read(self) -> Catalogue:
        return Catalogue.from_files(self.texts)


@pytest.fixture
def files() -> Files:
    return Files()
