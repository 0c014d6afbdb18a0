"""One demo GitLab for all tests that only read, and a way to start others."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "gitlab"
UNTIL, START = "2026-06-15T10:00:00Z", "2026-04-01"
TOKEN = "demo-token"
ENGINE = "projects/toman%2Fexchange%2Ftrading%2Fengine"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """In any case of letters."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Gitlab:
    """A running demo GitLab."""

    url: str
    process: subprocess.Popen[str]

    def ask(self, path: str, *, method: str = "GET", body: Any = None, token: str = TOKEN) -> Answer:
        """One request on a connection of its own."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"PRIVATE-TOKEN": token})
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        """A REST path below /api/v4."""
        return self.ask(path if path.startswith("/") else f"/api/v4/{path}", **options)

    def graphql(self, query: str, **variables: Any) -> Any:
        """The answer to a query, whole."""
        return self.ask("/api/graphql", method="POST", body={"query": query, "variables": variables}).json

    def control(self, name: str, body: Any) -> Any:
        """One of the demo's own doors."""
        return self.ask(f"/-/demo/{name}", method="POST", body=body).json

    def everything(self, path: str) -> list[Any]:
        """All pages of a list."""
        rows: list[Any] = []
        number = 1
        while True:
            joint = "&" if "?" in path else "?"
            page = self.get(f"{path}{joint}per_page=100&page={number}")
            assert page.status == 200, page.body
            rows += page.json
            if not page.header("x-next-page"):
                return rows
            number += 1


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Gitlab]]:
    """Start a demo GitLab with these options; it ends with the tests."""
    processes = []

    def begin(*options: str) -> Gitlab:
        common = ["--until", UNTIL, "--start", START, "--projects", "8"]
        process = subprocess.Popen(
            [sys.executable, "-m", "demo", *common, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        line = process.stdout.readline() if process.stdout else ""
        assert line.startswith("demo GitLab listening on http://127.0.0.1:")
        return Gitlab(line.rpartition(" ")[2].strip(), process)

    yield begin
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def gitlab(start: Callable[..., Gitlab]) -> Gitlab:
    """The one that nobody changes."""
    return start()


@pytest.fixture(scope="session")
def shared() -> Path:
    """GitLab's own schemas and recorded answers, where they lie beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("GitLab's schemas and recordings do not lie beside this checkout (../shared/gitlab)")
    return SHARED
