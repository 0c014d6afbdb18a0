"""What `make test`, `soak`, `bench` and `release-check` run: `python -m tem.checks NAME`.

The quick checks come first, side by side, and are shown when they fail. pytest has the terminal and,
when all is well, the last word.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tem.environment import CHECKOUT
from tem.processes import tie_to_parent
from tem.supervisor import ENDING, MemberEnded, Stopped, Supervisor

PYTHON = sys.executable
MANAGE = [PYTHON, "manage.py"]
PYTEST = [PYTHON, "-m", "pytest", "--quiet"]
TESTS = [*PYTEST, "--numprocesses", "auto", "--dist", "loadgroup", "-m", "not soak"]
SOAK = [*PYTEST, "-m", "soak", "--timeout", "3600"]
# Each list is one queue of checks; the queues run side by side.
QUICK = (
    {"mypy": [PYTHON, "-m", "mypy"]},
    {
        "ruff-check": [PYTHON, "-m", "ruff", "check", "."],
        "ruff-format": [PYTHON, "-m", "ruff", "format", "--check", "."],
        "imports": [str(Path(PYTHON).with_name("lint-imports")), "--no-cache"],
        "check": [*MANAGE, "check", "--fail-level", "WARNING"],
        "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    },
)


def runner() -> Supervisor:
    """A supervisor whose members see the tests' home, and no setting of the caller's."""
    home = Path(os.environ.get("TEM_TEST_HOME") or CHECKOUT / ".tem" / "test").absolute()
    ours = ("TEM_", "GITLAB_", "OIDC_", "TIMEZONE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables |= {"TEM_HOME": str(home), "TEM_TEST_HOME": str(home)}
    return Supervisor(logs=home / "logs", variables=variables, grace_s=10)


def quick_checks(stack: Supervisor) -> list[str]:
    """Run the quick checks to their ends; answers the names of those that failed, after showing them."""
    queues = [iter(queue.items()) for queue in QUICK]
    running = {place: stack.start(*next(queue)) for place, queue in enumerate(queues)}
    failed = []
    while running:
        stack.look(wait_s=0.5, leaving=running.values())
        for place, member in list(running.items()):
            if member.process.poll() is None:
                continue
            if stack.finish(member):
                failed.append(member.name)
                words = member.log.read_text(errors="replace")
                print(f"--- {member.name} failed ---\n{words}", file=sys.stderr, flush=True)
            del running[place]
            if following := next(queues[place], None):
                running[place] = stack.start(*following)
    return failed


def checked(*suites: Sequence[str]) -> int:
    """The quick checks, then each suite, whatever failed before; 0 when everything passed."""
    with runner() as stack:
        failed = quick_checks(stack)
        for suite in suites:
            if stack.finish(stack.start("pytest", suite, shown=True)):
                failed.append("pytest")
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def alone(*commands: Sequence[str]) -> int:
    """Each command in turn; the first status that is not 0 ends it."""
    with runner() as stack:
        for command in commands:
            if status := stack.finish(stack.start("check", command, shown=True)):
                return status
    return 0


def bench() -> int:
    """Every benchmark of bench/, one after the other."""
    programs = sorted((CHECKOUT / "bench").glob("*.py"))
    if not programs:
        print("bench/ holds no benchmark.")
    return alone(*([PYTHON, str(program)] for program in programs))


CHECKS = {
    "test": lambda: checked(TESTS),
    "soak": lambda: alone(SOAK),
    "bench": bench,
    "release": lambda: checked(TESTS, SOAK),
}


def main(name: str) -> int:
    """Run one of CHECKS; a signal ends everything it started, status 130."""
    if "MAKELEVEL" in os.environ:
        tie_to_parent(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        return CHECKS[name]()
    except Stopped:
        return 130
    except MemberEnded as ended:
        print(ended, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
