"""Lets Prometheus scrape a run: the server of `--prometheus`, from the start of the run to its last scrape."""

import time

from convload.live.serving import Server
from convload.live.watching import Show
from convload.outputs.scrape import Exposition
from convload.results.progress import Progress

LOOK_S = 0.1


class MetricsServer(Show):
    """Answers scrapes; the end waits for one that has the last figures, if there were any."""

    def __init__(self, progress: Progress, host: str, port: int) -> None:
        self._exposition = Exposition(progress)
        self._server = Server(self._exposition.app(), host, port, "--prometheus")
        self.port = self._server.port

    def close(self) -> None:
        """Waits for a last scrape, not for long, and ends; Ctrl-C ends the waiting."""
        until_s = time.monotonic() + self._exposition.wait_s()
        try:
            while time.monotonic() < until_s and not self._exposition.told_the_end:
                time.sleep(LOOK_S)
            if self._exposition.told_the_end:
                time.sleep(LOOK_S)  # for the answer to be on its way
        except KeyboardInterrupt:
            pass
        self._server.close()
