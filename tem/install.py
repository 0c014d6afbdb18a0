"""What `make setup` does: `.venv` with exactly the pinned packages. `python3 -m tem.install [--dev]`.

Runs on the machine's own Python, so: standard library only. Ends in a blink when nothing has changed.
pip brings uv, uv brings the rest; both take their index from the machine's configuration.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from tem.environment import CHECKOUT
from tem.processes import tie_to_parent, tied

VENV = CHECKOUT / ".venv"
MADE, INSTALLED = VENV / "made", VENV / "installed"
RUN = ("requirements.txt", "requirements-embedded.txt", "requirements-demo.txt")
DEV = (*RUN, "requirements-dev.txt")
UV = "requirements-uv.txt"


class InstallFailed(Exception):
    """A step went wrong; the message says which, and what may help."""


def fingerprint(files: tuple[str, ...]) -> str:
    """What `.venv` holds once `files` are installed: their contents, and the Python below."""
    contents = hashlib.sha256(f"{sys.version} {CHECKOUT}".encode())
    for name in (UV, *files):
        contents.update((CHECKOUT / name).read_bytes())
    return contents.hexdigest()


def stamped(stamp: Path) -> list[str]:
    """The fingerprints in a stamp; none where it is absent."""
    return stamp.read_text().split() if stamp.exists() else []


def install(files: tuple[str, ...]) -> None:
    """Bring `.venv` to exactly `files`. A stamp is written last, so a broken-off install is redone."""
    if fingerprint(files) in stamped(INSTALLED):
        return
    began = time.monotonic()
    INSTALLED.unlink(missing_ok=True)
    print("Installing the pinned packages into .venv ...", flush=True)
    if fingerprint(()) not in stamped(MADE):
        make_venv()  # never under a stack that runs from it, just because packages are added
        MADE.write_text(fingerprint(()))
    uv = [str(VENV / "bin" / "python"), "-m", "uv", "--quiet"]
    locked = [str(CHECKOUT / name) for name in (UV, *files)]
    step([*uv, "pip", "sync", "--require-hashes", "--python", str(VENV / "bin" / "python"), *locked])
    # The development packages contain the others, so either need is met from now on.
    INSTALLED.write_text(" ".join({fingerprint(files), fingerprint(RUN)}))
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def make_venv() -> None:
    """A virtual environment with uv in it; the machine's own pip serves where it has one (it is faster)."""
    if sys.version_info < (3, 11):  # noqa: UP036  (this is the machine's Python: it may be any)
        raise InstallFailed(f"TEM needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}.")
    own_pip = importlib.util.find_spec("pip") is not None
    if not own_pip and importlib.util.find_spec("ensurepip") is None:
        raise InstallFailed(
            "this Python has neither pip nor venv: install your system's python3-venv package."
        )
    step([sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if own_pip else []), str(VENV)])
    python = str(VENV / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python] if own_pip else [python, "-m", "pip"]
    quiet = ["--quiet", "--disable-pip-version-check"]
    step([*pip, "install", *quiet, "--require-hashes", "-r", str(CHECKOUT / UV)])


def step(command: list[str]) -> None:
    """Run one command to its end; it dies with us."""
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    if subprocess.run(command, cwd=CHECKOUT, env=variables, check=False, preexec_fn=tied()).returncode:
        raise InstallFailed(f"this command failed: {' '.join(command)}")


def main(words: list[str]) -> int:
    """Install under a lock, for two makes may start at once; 1 with a plain message on failure."""
    if "MAKELEVEL" in os.environ:
        tie_to_parent(15)
    with (CHECKOUT / ".install.lock").open("a") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        try:
            install(DEV if "--dev" in words else RUN)
        except InstallFailed as failure:
            print(f"Setup failed: {failure}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
