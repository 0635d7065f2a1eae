"""Serves the runs below a folder to whoever has the address: an index, their reports, and comparisons of two.

It only reads.
"""

from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from convload.addresses import write_address
from convload.comparison.compare import compare
from convload.comparison.history import find_runs
from convload.comparison.sides import read_run
from convload.errors import ConvloadError
from convload.live.guard import HEADERS, Guard, is_named
from convload.live.serving import Server
from convload.report import comparison, index


class Runs:
    """The server; `address` is where it is reached."""

    def __init__(self, root: Path, host: str, port: int) -> None:
        self._root = root
        routes = [
            Route("/{token}/", self._index),
            Route("/{token}/compare", self._compare),
            Route("/{token}/{run:path}/report.html", self._report),
        ]
        guard = Guard(Starlette(routes=routes), lambda request: is_named(request, host))
        self._server = Server(guard, host, port, "--bind")
        self.address = f"http://{write_address(host, self._server.port)}/{guard.token}/"

    def close(self) -> None:
        """Ends it."""
        self._server.close()

    async def _index(self, _: Request) -> Response:
        def render() -> str:
            return index.page(index.read_runs(self._root), self._root, compare="./compare")

        return HTMLResponse(await run_in_threadpool(render), headers=HEADERS)

    async def _report(self, request: Request) -> Response:
        folder = await run_in_threadpool(self._folder, request.path_params["run"])
        page = None if folder is None else folder / "report.html"
        if page is None or not page.is_file():
            return PlainTextResponse("There is no report of such a run here.", 404, headers=HEADERS)
        return FileResponse(page, headers=HEADERS)

    async def _compare(self, request: Request) -> Response:
        names = [request.query_params.get(side, "") for side in ("base", "new")]
        folders = [await run_in_threadpool(self._folder, name) for name in names]
        known = [folder for folder in folders if folder is not None]
        if len(known) < len(names):
            return PlainTextResponse("There is no such run here.", 404, headers=HEADERS)
        try:
            return HTMLResponse(await run_in_threadpool(_compared, *known), headers=HEADERS)
        except ConvloadError as error:
            return PlainTextResponse("\n".join(error.problems), 422, headers=HEADERS)

    def _folder(self, name: str) -> Path | None:
        """Returns the folder of a run that is in the index; no other path leads anywhere."""
        return next((folder for folder in find_runs(self._root) if folder == self._root / name), None)


def _compared(base: Path, new: Path) -> str:
    sides = [read_run(base), read_run(new)]
    found = compare([sides[0]], [sides[1]])
    return comparison.page(found, [sides[0].steps], [sides[1].steps])
