"""`python -m convload.mock SERVING`: the mock as a child process; one argument of JSON says how it serves."""

import os
import sys

import msgspec

from convload.errors import UsageError
from convload.mock.process import Serving
from convload.mock.server import run


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Serves, and returns the exit status."""
    try:
        serving = msgspec.json.decode(sys.argv[1], type=Serving)
        if serving.credentials_on_stdin:
            os.environ.update(msgspec.json.decode(sys.stdin.buffer.readline(), type=dict[str, str]))
        run(serving, _announce)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
