"""What a locustfile may import from `convload`."""

import subprocess
import sys

import pytest

import convload


def prints(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_convload_patches_nothing() -> None:
    code = "import convload, sys, socket; print({'gevent', 'locust'} & {*sys.modules}, socket.socket.__module__)"

    assert prints(code) == "set() socket"


def test_asking_for_a_user_class_loads_locust() -> None:
    code = "from convload import ConversationUser, task; import sys, locust; print(task is locust.task)"

    assert prints(code) == "True"


def test_every_public_name_is_there() -> None:
    code = "import convload; print([name for name in convload.__all__ if not hasattr(convload, name)])"

    assert prints(code) == "[]"


def test_the_import_of_earlier_locustfiles_gives_the_same_class() -> None:
    code = (
        "from convload.load import users; import convload; print(users.ConversationUser is convload.ConversationUser)"
    )

    assert prints(code) == "True"


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ConversationUsr'"):
        convload.ConversationUsr  # noqa: B018 -- that it raises is the test
