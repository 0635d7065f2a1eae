"""Two machines, as far as the network goes: namespaces with a wire between them, which takes root and `ip`."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IP = shutil.which("ip") or ""
SNIFF = """
import socket, sys
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
listener.bind((sys.argv[1], 0))
while True:
    sys.stdout.buffer.write(listener.recv(65535))
    sys.stdout.buffer.flush()
"""
ASK = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"


def ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True, capture_output=True)


class Network:
    """Two machines, as far as the network goes, and the wire between them."""

    def __init__(self) -> None:
        self.here, self.there = f"cl{os.getpid()}a", f"cl{os.getpid()}b"
        self.address = "10.199.77.1"
        for name in (self.here, self.there):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "wire", "netns", self.here, "type", "veth", "peer", "name", "wire", "netns", self.there)
        for name, address in ((self.here, self.address), (self.there, "10.199.77.2")):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
            ip("-n", name, "link", "set", "wire", "up")

    def cut(self, seconds: float) -> None:
        ip("-n", self.there, "link", "set", "wire", "down")
        threading.Event().wait(seconds)
        ip("-n", self.there, "link", "set", "wire", "up")

    def end(self) -> None:
        for name in (self.here, self.there):
            subprocess.run([IP, "netns", "delete", name], check=False, capture_output=True)


def on(name: str) -> tuple[str, ...]:
    return (IP, "netns", "exec", name)


@contextmanager
def sniffed(name: str, into: Path) -> Iterator[None]:
    """Keeps all that goes over the wire meanwhile, as that end of it sees it."""
    with into.open("wb") as file:
        sniffer = subprocess.Popen([*on(name), sys.executable, "-c", SNIFF, "wire"], stdout=file)
    try:
        yield
    finally:
        sniffer.kill()
        sniffer.wait()


def creates_received(name: str, url: str) -> int:
    """Returns how many creates the mock on a machine has counted."""
    asked = [*on(name), sys.executable, "-c", ASK, f"{url}/__mock__/stats"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return int(json.loads(told)["create"]["received"])
