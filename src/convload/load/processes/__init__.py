"""Coordinator, workers and what they say to each other; none has Locust's web UI, so none loads Flask for it."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "locust.web"


class _OnDemand(ModuleType):
    """Stands for Locust's module, which `locust` imports at once, until somebody asks for what is in it."""

    WebUI = object
    """Locust's environment names it in an annotation."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(import_module(_NAME), name)


sys.modules.setdefault(_NAME, _OnDemand(_NAME))
