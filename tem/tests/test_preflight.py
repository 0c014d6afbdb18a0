"""What is said about services that cannot be used, against real sockets."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tem import preflight


@contextmanager
def answering(status: int, body: str) -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with one thing; its address and the tokens it was sent."""
    tokens: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(f"{self.path} {self.headers.get('PRIVATE-TOKEN')}")
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", tokens
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, '{"version": "16.3.0"}', ""),
        (429, "slow down", ""),
        (401, '{"message": "401 Unauthorized"}', "GITLAB_API_TOKEN: GitLab refuses this token"),
        (403, "{}", "GITLAB_API_TOKEN: GitLab answers 403: the token needs the scope read_api"),
        (200, "<html>Welcome</html>", "GITLAB_API_URL: what answers at 127.0.0.1"),
        (404, "<h1>Not Found</h1>", "GITLAB_API_URL: what answers at 127.0.0.1"),
        (404, '{"message": "some servers hide their version"}', ""),
        (302, "", "GITLAB_API_URL: 127.0.0.1 redirects elsewhere"),
    ],
)
def test_gitlab_is_judged_by_its_answer(status: int, body: str, said: str) -> None:
    with answering(status, body) as (address, tokens):
        problem = preflight.gitlab_problem(f"{address}/sub", "glpat-x")
    assert problem.startswith(said)
    assert bool(problem) == bool(said)
    assert tokens == ["/sub/api/v4/version glpat-x"]
    assert "glpat-x" not in problem


def test_unreachable_services_are_reported_together_by_name(tmp_path: Path) -> None:
    variables = {
        "GITLAB_API_URL": "http://no-such-host.invalid/api/v4",
        "TEM_DB_CONNECTION": "postgresql://u:sEcReT@127.0.0.1:9/tem",
        "TEM_REDIS_URL": "redis://:sEcReT@127.0.0.1:9/0",
    }
    problems = preflight.problems_of(variables)
    assert [problem.split(":")[0] for problem in problems] == [
        "GITLAB_API_TOKEN",
        "TEM_DB_CONNECTION",
        "TEM_REDIS_URL",
        "GITLAB_API_URL",
    ]
    assert "DNS" in problems[3]
    assert "sEcReT" not in json.dumps(problems)


def test_nothing_is_said_about_services_that_answer(tmp_path: Path) -> None:
    with answering(200, '{"version": "16.3.0"}') as (address, _tokens):
        assert preflight.problems_of({"GITLAB_API_URL": address, "GITLAB_API_TOKEN": "glpat-x"}) == []
