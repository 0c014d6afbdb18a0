"""The demo GitLab as a process, and plain questions to it: what its own pages would count."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import Any, Self
from urllib.parse import urlencode

from django.conf import settings

DEMO_TOKEN = "demo-token"


class Demo:
    """A made-up GitLab until the end of the block; its clock stands still."""

    def __init__(self, *options: str) -> None:
        self._command = [sys.executable, "-m", "demo", *options]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.url = line.rpartition(" ")[2].strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    def number_of(self, path: str) -> int:
        return int(self.one(f"/projects/{path.replace('/', '%2F')}")["id"])

    def forbid(self, *projects: int) -> None:
        self._ask("/-/demo/faults", json.dumps({"forbid_project": list(projects)}).encode())

    def later(self, *, days: int) -> None:
        """Let the company work on."""
        self._ask("/-/demo/clock", json.dumps({"advance_seconds": days * 86_400}).encode())

    def one(self, path: str) -> Any:
        """What stands below /api/v4 at this path."""
        return json.loads(self._ask(f"/api/v4{path}"))

    def every(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All rows of a list, page by page to the end; none where the project has no such part."""
        rows: list[dict[str, Any]] = []
        for number in range(1, 1000):
            page = self.one(f"{path}?{urlencode({**query, 'per_page': 100, 'page': number})}")
            if not isinstance(page, list):
                return []
            rows += page
            if len(page) < 100:
                return rows
        raise AssertionError(f"{path} has no end")

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(self.url.rpartition("/")[2], timeout=10)
        connection.request("GET" if body is None else "POST", path, body, {"PRIVATE-TOKEN": DEMO_TOKEN})
        told = connection.getresponse().read()
        connection.close()
        return told
