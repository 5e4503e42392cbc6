"""A real browser without a window, spoken to through a pipe: what a page asks for, complains of, and looks like."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FOUND = next((path for name in BROWSERS if (path := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(FOUND is None, reason="no chromium on PATH")
PATIENCE = 60.0  # seconds for one answer, on a busy machine
WATCHED = ("Network.requestWillBeSent", "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


class Page:
    """One page of the browser. ``seen`` are the requests, errors and words on its console, by the name of the event."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._rest = b""
        self._session = ""
        self.seen: list[tuple[str, dict[str, Any]]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of one command; events that come meanwhile are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def open(self, path: Path) -> float:
        """Load the file; how many seconds that took, until the page was whole."""
        self.seen.clear()
        began = time.monotonic()
        self.call("Page.navigate", url=path.as_uri())
        while not any(kind == "Page.loadEventFired" for kind, _ in self.seen):
            self._read()
        return time.monotonic() - began

    def evaluate(self, expression: str) -> Any:
        """What an expression gives in the page, whose own policy forbids scripts."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def look(self, width: int, scheme: str = "light", media: str = "", height: int = 1000) -> None:
        """As on a screen so wide, in the dark, or on paper."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def take_picture(self, path: Path) -> None:
        """All of the page, as PNG."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def take_top(self, path: Path, width: int, height: int) -> None:
        """What stands at the top of the page, as a WebP of three quarters of that size: small enough for docs."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 0.75}
        picture = self.call("Page.captureScreenshot", format="webp", quality=60, clip=clip)
        path.write_bytes(base64.b64decode(picture["data"]))

    def troubles(self, own: Path) -> list[str]:
        """Requests for anything but the page itself, and whatever the browser complained of."""
        found = []
        for kind, params in self.seen:
            if kind in WATCHED and params.get("request", {}).get("url") != own.as_uri():
                found.append(f"{kind}: {json.dumps(params)[:500]}")
        return found

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._from, 65536)
            assert piece, "the browser is gone"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        answer = dict(json.loads(line))
        if "method" in answer:
            self.seen.append((answer["method"], answer["params"]))
        return answer


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """One that ends with the block, whatever became of it."""
    assert FOUND
    ours, theirs = os.pipe(), os.pipe()  # what we write, and what we read
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={folder}"]
    words += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    words += ["--hide-scrollbars"]
    command = f"exec {FOUND} {' '.join(words)} 3<&{ours[0]} 4>&{theirs[1]}"
    process = subprocess.Popen(
        ["bash", "-c", command],
        pass_fds=(ours[0], theirs[1]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(ours[0])
    os.close(theirs[1])
    try:
        yield Page(ours[1], theirs[0])
    finally:
        process.kill()
        process.wait(timeout=10)
        os.close(ours[1])
        os.close(theirs[0])
