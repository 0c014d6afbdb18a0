"""The whole product as one command: `python -m tem.stack demo|up|once KIND`.

Knows in what order things start and end; `tem.members` knows what they are, `tem.supervisor` keeps them.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tem.environment import SettingsWrong, home_from, kept_secret, load_dotenv
from tem.members import Stack
from tem.preflight import problems_of
from tem.processes import tie_to_parent
from tem.servers import ServerFailed
from tem.supervisor import ENDING, MemberEnded, Stopped

DEMO_KEEPS = (
    "TEM_MAX_PARALLELISM",
    "TEM_BACKFILL_DAYS",
    "TEM_EXPORT_DIR",
    "TEM_WEB_PORT",
    "TEM_WEB_HOST",
    "TIMEZONE",
)
DONE, PARTIAL = 0, 3


def demo(*, serve: bool, days: str) -> int:
    """The product over the demo GitLab, in a home of its own, so that demo and real data never meet."""
    home = home_from(os.environ) / "demo"
    stack = Stack(home, variables=demo_variables(home), grace_s=3)
    with only_one(home), ExitStack() as at_last, stack.runner:
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
        if status in (DONE, PARTIAL):
            stack.summary()
        password = kept_secret(home, "admin_password", size=12)
        stack.say(f"dashboard {address}   login admin   password {password}")
        if serve and status in (DONE, PARTIAL):
            flower_password = kept_secret(home, "flower_password", size=12)
            stack.say(f"Flower {stack.flower()}   login admin   password {flower_password}")
        stack.say(f"these data by hand: TEM_HOME={os.path.relpath(home)} .venv/bin/python manage.py help")
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
    return {**kept, "TEM_DEMO": "1"}


def up() -> int:
    """The product over the user's GitLab and services, until it is asked to end."""
    home = checked_home(collecting=True)
    stack = Stack(home, variables=os.environ, grace_s=60)
    with only_one(home), stack.services(), stack.runner:
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


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Refuse a second stack over the same data: it would bring a second clock and another GitLab."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "stack.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            advice = "end it first, or choose another TEM_HOME"
            raise MemberEnded(f"a stack runs over the data in {home} already: {advice}") from None
        yield


def serve_until_asked(stack: Stack) -> None:
    try:
        stack.runner.serve()
    except Stopped as stopped:
        stack.say(f"{stopped}: stopping")


KINDS = [
    "backfill",
    "incremental",
    "nightly",
    "weekly",
    "recompute",
    "parity",
]  # pipeline.PLANS, without loading Django


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
    commands.choices["once"].add_argument("kind", choices=KINDS)
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
        print(f"\nTEM has ended: {ended}", file=sys.stderr)
        return 1
    finally:
        if sys.stdout.isatty():
            print("\x1b[?25h", end="", flush=True)  # a killed progress bar leaves the cursor hidden


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
