"""Opens a page in a real headless browser and uses it as a person does; speaks its protocol over a pipe."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
]
ANSWER_WITHIN_S = 60
_WITH_PIPES = """import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])"""
"""The browser reads from 3 and writes to 4, whatever the numbers are here."""

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH to open a page in a real browser")


class Browser:
    """One page of a browser: what it was asked for, what it had to say, and what a person does with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _WITH_PIPES, str(to_child), str(from_child), *command],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_child)
        os.close(from_child)
        self._sent, self._rest = 0, b""
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = next(one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **arguments: Any) -> Any:
        """Asks the browser for something, and returns its answer."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": arguments}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._sent:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"])[:1000])
        elif method == "Log.entryAdded" or (method == "Runtime.consoleAPICalled" and told["type"] != "debug"):
            self.complaints.append(json.dumps(told)[:1000])

    def open(self, page: str, width: int = 1200, height: int = 900) -> "Browser":
        """Opens a page from a file."""
        path = self.folder / "page.html"
        path.write_text(page, encoding="utf-8")
        return self.go(path.as_uri(), width, height)

    def go(self, address: str, width: int = 1200, height: int = 900) -> "Browser":
        """Opens the page at an address."""
        self.complaints.clear()
        self.requests.clear()
        self.resize(width, height)
        self("Page.navigate", url=address)
        self.until("document.readyState == 'complete' && location.href != 'about:blank'")
        return self

    def resize(self, width: int, height: int = 900) -> None:
        """Makes the window that wide."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def theme(self, scheme: str) -> None:
        """Asks for light or dark pages."""
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def ask(self, expression: str) -> Any:
        """Returns what an expression of JavaScript gives in the page."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits for an expression to become true, and returns it."""
        deadline_s = time.monotonic() + ANSWER_WITHIN_S
        while not (found := self.ask(expression)):
            assert time.monotonic() < deadline_s, expression
            self.ask("new Promise((done) => setTimeout(done, 20))")
        return found

    def press(self, key: str) -> None:
        """Presses a key."""
        text = {"text": key} if len(key) == 1 else {}
        code = {"Enter": 13, "Tab": 9, " ": 32}.get(key)
        more = (
            {"windowsVirtualKeyCode": code, "text": "\r" if key == "Enter" else text.get("text", "")} if code else text
        )
        self("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
        self("Input.dispatchKeyEvent", type="keyUp", key=key)

    def drag(self, from_x: float, to_x: float, y: float) -> None:
        """Draws the pointer along a line."""
        button = {"button": "left", "clickCount": 1}
        self("Input.dispatchMouseEvent", type="mouseMoved", x=from_x, y=y)
        self("Input.dispatchMouseEvent", type="mousePressed", x=from_x, y=y, **button)
        self("Input.dispatchMouseEvent", type="mouseMoved", x=(from_x + to_x) / 2, y=y, button="left", buttons=1)
        self("Input.dispatchMouseEvent", type="mouseMoved", x=to_x, y=y, button="left", buttons=1)
        self("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=y, **button)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Writes what is to be seen as a PNG."""
        shown = self("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shown["data"]))

    def pdf(self) -> bytes:
        """Prints the page on A4."""
        size = {"paperWidth": 8.27, "paperHeight": 11.69}
        return base64.b64decode(self("Page.printToPDF", printBackground=True, **size)["data"])

    def close(self) -> None:
        """Ends the browser with all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._out)
        os.close(self._in)


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser for as long as it is needed."""
    opened = Browser(folder)
    try:
        yield opened
    finally:
        opened.close()


def in_browser(page: str, folder: Path) -> tuple[str, list[str]]:
    """Returns the page's elements after its scripts ran, and what the browser had to say of it."""
    with browser(folder) as opened:
        opened.open(page, 390)
        dom: str = opened.ask("document.documentElement.outerHTML")
        return dom, list(opened.complaints)
