"""The processes that make up the product: their commands, and what each is told by the environment.

Knows no order; `tem.stack` starts them. How they are kept and ended is `tem.supervisor`'s business.
"""

from __future__ import annotations

import datetime as dt
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tem import embedded
from tem.environment import Environment, kept_secret
from tem.supervisor import Member, MemberEnded, Supervisor

PYTHON = sys.executable
MANAGE = [PYTHON, "manage.py"]
WORLD_DAYS = 180
CELERY = [PYTHON, "-m", "celery", "-A", "tem"]


class Stack:
    """The product's processes in one home, under one supervisor."""

    def __init__(self, home: Path, *, variables: Mapping[str, str], grace_s: float) -> None:
        self.home = home
        self.variables = {**variables, "TEM_HOME": str(home)}
        self.runner = Supervisor(logs=home / "logs", variables=self.variables, grace_s=grace_s)
        self.began = time.monotonic()

    def say(self, words: str) -> None:
        """One line for the person at the terminal, with the seconds since the start."""
        print(f"{time.monotonic() - self.began:6.1f} s  {words}", flush=True)

    @contextmanager
    def services(self) -> Iterator[None]:
        """PostgreSQL and Valkey for the length of a block, unless the user brought both."""
        env = Environment(self.variables)
        if env.database() and env.redis():
            yield
            return
        with embedded.running(self.home):
            found = embedded.status(self.home)
            if found:
                log = self.home / "logs" / "embedded.log"
                self.runner.guarded["the keeper of PostgreSQL and Valkey"] = (found.keeper, log)
            self.say("PostgreSQL and Valkey are up")
            yield

    def prepare(self) -> None:
        """Migrate, seed what an empty database lacks. Raises MemberEnded with what it printed."""
        member = self.runner.start("prepare", [*MANAGE, "prepare"])
        if status := self.runner.finish(member):
            raise MemberEnded(f"preparing the database ended with status {status}", log=member.log)
        self.say("the database is ready")

    def workers(self) -> Member:
        """One prefork worker for all queues; its size is TEM_MAX_PARALLELISM, which the app reads."""
        command = [*CELERY, "worker", "-Q", "collect,compute,export,ops", "--loglevel", "INFO"]
        command += [
            "--hostname",
            f"{self.runner.stack_id}@%h",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
        # Asked to end, it gives its steps a while and then gives them back, instead of waiting for all.
        variables = {"TEM_LOG_FORMAT": "json", "REMAP_SIGTERM": "SIGQUIT"}
        return self.runner.start("worker", command, variables=variables)

    def wait_for_workers(self, worker: Member) -> None:
        self.runner.wait_for(
            lambda: " ready." in worker.log.read_text(), limit_s=60, what="the worker's start"
        )

    def beat(self) -> None:
        """The clock of the schedule; no pid file, for the supervisor knows whether it runs."""
        command = [*CELERY, "beat", "--pidfile", "", "--loglevel", "INFO"]
        self.runner.start("beat", command, variables={"TEM_LOG_FORMAT": "json"})

    def web(self, *, preferred_port: int) -> str:
        """gunicorn on a socket of ours, so that no other process can take the port; its address."""
        env = Environment(self.variables)
        host, port = (
            env.text("TEM_WEB_HOST", "127.0.0.1"),
            env.whole_number("TEM_WEB_PORT", 0, low=0, high=65535),
        )
        env.finish()
        with listening(host, port or preferred_port) as door:
            address = f"http://{host}:{door.getsockname()[1]}/"
            command = [PYTHON, "-m", "gunicorn", "-c", "python:tem.web", "--bind", f"fd://{door.fileno()}"]
            self.runner.start(
                "web",
                [*command, "tem.wsgi"],
                pass_fds=[door.fileno()],
                variables={"TEM_LOG_FORMAT": "json"},
            )
        return address

    def flower(self) -> str:
        """Flower, on loopback and behind a password that is made once and kept; its address."""
        with listening("127.0.0.1", 5555) as door:
            port = door.getsockname()[1]
        login = f"admin:{kept_secret(self.home, 'flower_password', size=12)}"
        command = [PYTHON, "-m", "tem.flower", "--address=127.0.0.1", f"--port={port}"]
        self.runner.start("flower", command, variables={"FLOWER_BASIC_AUTH": login})
        return f"http://127.0.0.1:{port}/"

    def start_run(self, kind: str, *, days: str) -> Member:
        """One run, with its progress on the terminal; its status will be 0 done, 3 partial, 1 failed."""
        options = ["--days", days] if kind == "backfill" else []
        return self.runner.start("run", [*MANAGE, "run", kind, *options, "--wait"], shown=True)

    def summary(self) -> None:
        """The latest day's values as a table on the terminal."""
        self.runner.finish(self.runner.start("summary", [*MANAGE, "summary"], shown=True))

    def demo_gitlab(self) -> Member:
        token = kept_secret(self.home, "demo_token")
        self.runner.variables["GITLAB_API_TOKEN"] = token
        command = [PYTHON, "-m", "demo", "--port", "0", f"--token={token}", "--start", self._world_start()]
        return self.runner.start("demo-gitlab", command)

    def _world_start(self) -> str:
        """When the demo's history began: kept with its data, so that the next start goes on with it."""
        kept = self.home / "world-start"
        if not kept.exists() or not kept.read_text():
            today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            kept.write_text((today - dt.timedelta(days=WORLD_DAYS)).isoformat())
        return kept.read_text()

    def wait_for_demo_gitlab(self, gitlab: Member) -> None:
        """Until it says where it listens; from then on members started find it in GITLAB_API_URL."""
        mark = "demo GitLab listening on "
        self.runner.wait_for(
            lambda: mark in gitlab.log.read_text(), limit_s=60, what="the demo GitLab's start"
        )
        address = gitlab.log.read_text().split(mark)[1].split()[0]
        self.runner.variables["GITLAB_API_URL"] = address
        self.say(f"the demo GitLab is up at {address}")


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket on `port`, or on the next free one; 0 is any."""
    for candidate in range(port, port + 50) if port else [0]:
        door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, candidate))
            door.listen(128)
        except OSError:
            door.close()
            continue
        with door:
            yield door
        return
    raise MemberEnded(f"no free port from {port} on")
