"""Loads the user classes of a locustfile from its text, as it came with the plan."""

import tempfile
from pathlib import Path

from locust import User
from locust.util.load_locustfile import load_locustfile

from convload.errors import UsageError

MODULE = "convload_locustfile.py"


def load_users(text: str) -> list[type[User]]:
    """Returns the user classes that a locustfile defines.

    Raises:
        UsageError: the file cannot be run, or defines no user class.
    """
    with tempfile.TemporaryDirectory(prefix="convload-") as folder:
        path = Path(folder) / MODULE
        path.write_text(text, encoding="utf-8")
        try:
            found, _ = load_locustfile(str(path))
        except Exception as error:  # a tester's file may raise anything
            raise UsageError(f"locustfile{_line_of(error)}: {type(error).__name__}: {error}") from error
    users = [user for user in found.values() if user.weight > 0 or user.fixed_count > 0]
    if not users:
        raise UsageError("locustfile: defines no user class; subclass convload.load.users.ConversationUser")
    return users


def _line_of(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    frame = error.__traceback__
    line = ""
    while frame is not None:
        if frame.tb_frame.f_code.co_filename.endswith(MODULE):
            line = f":{frame.tb_lineno}"
        frame = frame.tb_next
    return line
