"""A real browser for the tests: Debian's chromium, spoken to over a pair of pipes. Needs no package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars "
    "--remote-debugging-pipe"
)

# chromium reads commands from descriptor 3 and answers on 4, whatever numbers our pipes have.
_ON_3_AND_4 = """
import fcntl, os, sys
ours = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for theirs, number in zip((3, 4), ours):
    os.dup2(number, theirs)
os.execv(sys.argv[3], sys.argv[3:])
"""


class BrowserFailed(Exception):
    """The browser refused a command, or died."""


class Browser:
    """One tab. `events` holds everything the tab reported, in order."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._last, self._rest, self._session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.say("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.say("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.say(f"{domain}.enable")

    def say(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come first are kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            self.events.append(answer)
        if "error" in answer:
            raise BrowserFailed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._answers, 1 << 20)
            if not block:
                raise BrowserFailed("chromium has ended")
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def goto(self, address: str) -> None:
        """Open a page and wait until everything on it has loaded."""
        self.events.clear()
        self.say("Page.navigate", url=address)
        self.wait_until_loaded()

    def wait_until_loaded(self) -> None:
        """Until the page that was asked for last has loaded."""
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.say("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserFailed(result["exceptionDetails"]["exception"].get("description", "script failed"))
        return result["result"].get("value")

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Set the size of the window and the scheme that its owner prefers."""
        self.say(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.say("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.say("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def cookie(self, address: str, name: str, value: str) -> None:
        self.say("Network.setCookie", url=address, name=name, value=value)

    def complaints(self) -> list[str]:
        """What the browser refused or failed to do on this page: policy violations, script errors, 404s."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["text"])
        return found

    def requested(self) -> list[str]:
        """The addresses that this page asked for."""
        sent = (
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        )
        return [address for address in sent if not address.startswith("data:")]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with an empty profile; it ends with the block."""
    assert PROGRAM is not None
    commands_in, commands_out = os.pipe()
    answers_in, answers_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        start = [sys.executable, "-c", _ON_3_AND_4, str(commands_in), str(answers_out)]
        program = subprocess.Popen(
            [*start, PROGRAM, *_FLAGS.split(), f"--user-data-dir={profile}"],
            pass_fds=(commands_in, answers_out),
            env={**os.environ, "TMPDIR": profile},  # it leaves folders of its own behind
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_in)
        os.close(answers_out)
        try:
            yield Browser(commands_out, answers_in)
        finally:
            program.terminate()
            program.wait(10)
            os.close(commands_out)
            os.close(answers_in)
