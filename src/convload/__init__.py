"""convload: load and performance testing of the create-conversation call of LivePerson's Connector API.

What a locustfile needs can be imported from here; it is loaded when it is asked for, since Locust patches the whole
process when it is imported. Everything else in this package is private.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from locust import SequentialTaskSet, TaskSet, task

    from convload.contract.answers import Answer
    from convload.load.target import OpenConversation
    from convload.load.users import ConversationUser

__version__ = "0.1.0"

_PLACES = {
    "Answer": "convload.contract.answers",
    "ConversationUser": "convload.load.users",
    "OpenConversation": "convload.load.target",
    "SequentialTaskSet": "locust",
    "TaskSet": "locust",
    "task": "locust",
}

__all__ = ["Answer", "ConversationUser", "OpenConversation", "SequentialTaskSet", "TaskSet", "task"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
