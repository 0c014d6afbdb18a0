"""The whole product as one command: `python -m tem.stack demo|up|once KIND`.

Knows which processes make up the product and in what order they start. How they are kept, watched and
ended is `tem.supervisor`'s business; what a run does is the pipeline's.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tem import embedded
from tem.environment import Environment, SettingsWrong, home_from, kept_secret, load_dotenv
from tem.preflight import problems_of
from tem.processes import tie_to_parent
from tem.servers import ServerFailed
from tem.supervisor import ENDING, Member, MemberEnded, Stopped, Supervisor

PYTHON = sys.executable
MANAGE = [PYTHON, "manage.py"]
CELERY = [PYTHON, "-m", "celery", "-A", "tem"]
DEMO_KEEPS = (
    "TEM_MAX_PARALLELISM",
    "TEM_BACKFILL_DAYS",
    "TEM_EXPORT_DIR",
    "TEM_WEB_PORT",
    "TEM_WEB_HOST",
    "TIMEZONE",
)
DONE, PARTIAL = 0, 3


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
        if self.variables.get("TEM_DB_CONNECTION") and self.variables.get("TEM_REDIS_URL"):
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
        return self.runner.start("worker", command, variables={"TEM_LOG_FORMAT": "json"})

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
        """Flower, on loopback and behind a password that is made once and kept."""
        with listening("127.0.0.1", 5555) as door:
            port = door.getsockname()[1]
        login = f"admin:{kept_secret(self.home, 'flower_password', size=12)}"
        command = [*CELERY, "flower", "--address=127.0.0.1", f"--port={port}"]
        self.runner.start("flower", command, variables={"FLOWER_BASIC_AUTH": login})
        return f"http://127.0.0.1:{port}/"

    def start_run(self, kind: str, *, days: str) -> Member:
        """One run, with its progress on the terminal; its status will be 0 done, 3 partial, 1 failed."""
        options = ["--days", days] if kind == "backfill" else []
        return self.runner.start("run", [*MANAGE, "run", kind, *options, "--wait"], shown=True)

    def demo_gitlab(self) -> Member:
        token = kept_secret(self.home, "demo_token")
        self.runner.variables["GITLAB_API_TOKEN"] = token
        command = [PYTHON, "-m", "demo", "--port", "0", "--token", token]
        return self.runner.start("demo-gitlab", command)

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


def demo(*, serve: bool, days: str) -> int:
    """The product over the demo GitLab, in a home of its own, so that demo and real data never meet."""
    home = home_from(os.environ) / "demo"
    stack = Stack(home, variables=demo_variables(home), grace_s=3)
    with ExitStack() as at_last, stack.runner:
        gitlab = stack.demo_gitlab()
        at_last.enter_context(stack.services())  # so that they end after the members
        stack.prepare()
        stack.wait_for_demo_gitlab(gitlab)
        worker = stack.workers()
        run = stack.start_run("backfill", days=days)
        stack.wait_for_workers(worker)  # on few cores the run goes first, then what only looks at it
        address = stack.web(preferred_port=0)
        stack.beat()
        status = stack.runner.finish(run)
        password = kept_secret(home, "admin_password", size=12)
        stack.say(f"dashboard {address}   login admin   password {password}")
        if serve and status in (DONE, PARTIAL):
            print("Ctrl-C ends it all.", flush=True)
            serve_until_asked(stack)
    return status


def demo_variables(home: Path) -> dict[str, str]:
    """The environment without the user's own services, and with files of the demo only in its exports."""
    foreign = ("TEM_", "GITLAB_", "OIDC_", "TIMEZONE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in DEMO_KEEPS or not name.startswith(foreign)
    }
    exports = Path(kept.get("TEM_EXPORT_DIR") or home / "exports").expanduser().absolute()
    mark = exports / ".demo"
    if exports.is_dir() and any(exports.iterdir()) and not mark.exists():
        advice = f"{exports} holds files that are not the demo's: choose an empty folder, or none."
        raise SettingsWrong([f"TEM_EXPORT_DIR: {advice}"])
    exports.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return kept


def up() -> int:
    """The product over the user's GitLab and services, until it is asked to end."""
    home = checked_home(collecting=True)
    stack = Stack(home, variables=os.environ, grace_s=15)
    with stack.services(), stack.runner:
        stack.prepare()
        address = stack.web(preferred_port=8000)
        stack.workers()
        stack.beat()
        stack.say(f"dashboard {address}   login admin   password in {home / 'secrets' / 'admin_password'}")
        stack.say(
            f"Flower {stack.flower()}   login admin   password in {home / 'secrets' / 'flower_password'}"
        )
        serve_until_asked(stack)
    return DONE


def once(kind: str, *, days: str) -> int:
    """One run over the user's GitLab and services, then everything down; the run's own status."""
    stack = Stack(checked_home(collecting=kind != "recompute"), variables=os.environ, grace_s=15)
    with stack.services(), stack.runner:
        stack.prepare()
        stack.workers()
        return stack.runner.finish(stack.start_run(kind, days=days))


def serve_until_asked(stack: Stack) -> None:
    try:
        stack.runner.serve()
    except Stopped as stopped:
        stack.say(f"{stopped}: stopping")


def checked_home(*, collecting: bool) -> Path:
    """TEM_HOME, after everything that is missing or wrong has been reported at once (status 2)."""
    load_dotenv(os.environ)
    if problems := problems_of(os.environ, collecting=collecting):
        raise SettingsWrong(problems)
    return home_from(os.environ)


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tem.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("demo", "once"):
        commands.add_parser(name).add_argument("--days", default=os.environ.get("TEM_BACKFILL_DAYS") or "180")
    commands.choices["demo"].add_argument("--no-serve", action="store_true")
    commands.choices["once"].add_argument("kind", choices=["backfill", "incremental", "nightly", "recompute"])
    commands.add_parser("up")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Run the command; Ctrl-C before the end is 130, a member's death 1 with its last words."""
    if "MAKELEVEL" in os.environ:
        tie_to_parent(signal.SIGTERM)  # a killed make takes its stack along
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # from here on they are waited for, not suffered
    chosen = arguments(words)
    try:
        if chosen.command == "demo":
            return demo(serve=not chosen.no_serve, days=chosen.days)
        return up() if chosen.command == "up" else once(chosen.kind, days=chosen.days)
    except Stopped as stopped:
        print(f"\n{stopped}: everything is stopped.", file=sys.stderr)
        return 130
    except (MemberEnded, ServerFailed) as ended:
        print(f"\nThe stack was shut down: {ended}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
