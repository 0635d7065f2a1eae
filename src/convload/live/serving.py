"""Serves HTTP from a thread of the parent process, beside the run that it tells of."""

import socket
from typing import Any

from convload.addresses import write_address
from convload.errors import UsageError
from convload.live import background

ENDS_WITHIN_S = 2.0


class Server:
    """An ASGI application at an address of this machine until it is closed; UsageError where it cannot listen there."""

    def __init__(self, app: Any, host: str, port: int, flag: str) -> None:
        import uvicorn  # noqa: PLC0415 -- slow to import, and asked for by few

        self._socket = _listen(host, port, flag)
        self.host, self.port = host, self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http="httptools",
            interface="asgi3",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = background.start(self._server.run, flag, [self._socket])

    def close(self) -> None:
        """Ends it, whoever still listens."""
        self._server.should_exit = True
        self._thread.join(ENDS_WITHIN_S)
        self._socket.close()


def _listen(host: str, port: int, flag: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        where = write_address(host, port)
        raise UsageError(f"{flag} {where}: cannot be listened on, is it free and of this machine?") from error
    return listener
