"""Serves the page of a run that goes on, to whoever has its address, and to no page of anybody else.

Nothing is answered without the token of the address (`guard`). A page elsewhere that knew it would still be refused: by
its `Origin` and by what the browser says of where a request comes from. There is no cookie, so no request carries what
its page does not know. What changes the run takes JSON alone, which no form of another site can send.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from convload.addresses import write_address
from convload.live.guard import HEADERS, Guard, is_named
from convload.live.page import Known, Page
from convload.live.serving import Server
from convload.live.watching import Show
from convload.results.progress import Progress
from convload.results.runlog import Record
from convload.run.by_hand import Wish

EVERY_S = 1.0
MOST_STREAMS = 20
MOST_BYTES = 1000
LOOK_S = 0.1

_HEADERS = HEADERS | {"Cross-Origin-Opener-Policy": "same-origin"}
_OWN_SITES = {"", "same-origin", "none"}
"""What a browser says of where a request comes from: this page, or a person who typed or clicked the address."""

_wishes = msgspec.json.Decoder(Wish)


class WebShow(Show):
    """The server of `--web`; `refusal` says why a wish cannot be fulfilled now, and `ask` lets one be."""

    def __init__(
        self, page: Page, refusal: Callable[[Wish], str], ask: Callable[[Wish], None], host: str, port: int
    ) -> None:
        self._page, self._refusal, self._ask = page, refusal, ask
        self._streams, self._closing = 0, False
        self._folder: Path | None = None
        routes = [
            Route("/{token}/", self._show),
            Route("/{token}/events", self._events),
            Route("/{token}/wishes", self._take_wish, methods=["POST"]),
            Route("/{token}/report", self._report),
        ]
        self._host = host
        guard = Guard(Starlette(routes=routes), self._is_own)
        self._server = Server(guard, host, port, "--web")
        self.address = f"http://{write_address(self._reachable(), self._server.port)}/{guard.token}/"

    # -- as the run goes on --

    def update(self, progress: Progress, records: Sequence[Record]) -> None:  # noqa: ARG002 -- as all shows
        """Counts what has come."""
        self._page.take(records)

    def reported(self, folder: Path) -> None:
        """Lets the page lead to the report."""
        self._folder, self._page.reported = folder, True

    def close(self) -> None:
        """Stays for a person at a terminal until Ctrl-C; elsewhere it ends at once."""
        if self._page.reported and sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty():
            sys.stderr.write(f"convload: the page stays at {self.address} until Ctrl-C\n")
            try:
                while True:
                    time.sleep(LOOK_S)
            except KeyboardInterrupt:
                sys.stderr.write("\n")
        self._closing = True
        self._server.close()

    # -- who is let in --

    def _is_own(self, request: Request) -> bool:
        """Whether a request is for this server by a name of its own, and from nobody else's page."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return False
        if request.method == "POST" and origin is None:
            return False
        return is_named(request, self._host, of_all=True) and request.headers.get("sec-fetch-site", "") in _OWN_SITES

    def _reachable(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 -- to be compared with

    # -- what it answers --

    async def _show(self, _: Request) -> Response:
        text, policy = self._page.html()
        return HTMLResponse(text, headers=_HEADERS | {"Content-Security-Policy": policy})

    async def _report(self, _: Request) -> Response:
        path = None if self._folder is None else self._folder / "report.html"
        if path is None or not path.is_file():
            return PlainTextResponse("there is no report yet", 404, _HEADERS)
        return FileResponse(path, headers=_HEADERS)

    async def _events(self, _: Request) -> Response:
        if self._streams >= MOST_STREAMS:
            return PlainTextResponse("too many pages are open", 503, _HEADERS)
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_HEADERS)

    async def _stream(self) -> AsyncIterator[bytes]:
        self._streams += 1
        known = Known()
        try:
            while not self._closing:
                yield _event("state", msgspec.json.encode(self._page.state()))
                if (told := self._page.charts(known)) is not None:
                    yield _event("charts", told)
                await asyncio.sleep(EVERY_S)
            yield _event("end", b"{}")
        finally:
            self._streams -= 1

    async def _take_wish(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            return PlainTextResponse("wants JSON", 415, _HEADERS)
        if not (length := request.headers.get("content-length", "")).isdigit() or int(length) > MOST_BYTES:
            return PlainTextResponse("too long", 413, _HEADERS)
        try:
            wish = _wishes.decode(await request.body())
        except msgspec.DecodeError as error:
            return PlainTextResponse(str(error), 400, _HEADERS)
        if why := self._refusal(wish):
            return PlainTextResponse(f"Refused: {why}.", 409, _HEADERS)
        self._ask(wish)
        return PlainTextResponse("It is being done.", 202, _HEADERS)


def _event(name: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data)
