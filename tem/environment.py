"""The environment, read once: every wrong or missing setting is reported, together, by name.

Knows names, types and where a value may stand (NAME or NAME_FILE). Knows no meaning, and never
prints the value of a setting: it may be a secret.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

GITLAB_SETTINGS = {
    "GITLAB_API_URL": "the address of your GitLab, for example https://gitlab.example.com",
    "GITLAB_API_TOKEN": "a GitLab access token with the scope read_api",
}


class Environment:
    """Reads settings and remembers what is wrong with them; `finish` reports everything at once.

    A reader answers its default when a value is wrong, so that reading goes on to the last one.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[str] = []

    def wrong(self, name: str, advice: str) -> None:
        """Remember that `name` is not usable; `advice` says what to do, never the value."""
        self.problems.append(f"{name}: {advice}")

    def text(self, name: str, default: str = "") -> str:
        """The value of NAME, or the contents of the file that NAME_FILE points at."""
        value = self._variables.get(name, "").strip()
        file_name = self._variables.get(f"{name}_FILE", "").strip()
        if value and file_name:
            self.wrong(name, f"is set twice: keep either {name} or {name}_FILE.")
        if value or not file_name:
            return value or default
        return self._contents(name, file_name) or default

    def _contents(self, name: str, file_name: str) -> str:
        try:
            value = Path(file_name).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            self.wrong(f"{name}_FILE", f"{file_name} cannot be read ({reason}).")
            return ""
        if not value:
            self.wrong(f"{name}_FILE", f"{file_name} is empty.")
        return value

    def whole_number(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number between `low` and `high`, both included."""
        raw = self.text(name)
        if not raw:
            return default
        if raw.isascii() and raw.isdigit() and low <= int(raw) <= high:
            return int(raw)
        self.wrong(name, f"must be a whole number from {low} to {high}.")
        return default

    def zone(self, name: str, default: str) -> str:
        """The name of an IANA time zone."""
        value = self.text(name, default)
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            self.wrong(name, "must be a time zone name such as Europe/Amsterdam.")
            return default
        return value

    def address(self, name: str, *, schemes: tuple[str, ...], example: str) -> str:
        """A URL with one of `schemes` and a host, or the empty string when the setting is absent."""
        value = self.text(name)
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        has_place = bool(parts.hostname) or "unix" in parts.scheme or "host=" in parts.query
        if parts.scheme in schemes and has_place:
            return value
        self.wrong(name, f"must be an address like {example}.")
        return ""

    def path(self, name: str, default: Path) -> Path:
        """A path; `~` is the home directory, a relative one counts from where we stand."""
        value = self.text(name)
        return Path(value).expanduser().absolute() if value else default

    def names(self, name: str, default: list[str]) -> list[str]:
        """A comma-separated list."""
        parts = [part.strip() for part in self.text(name).split(",")]
        return [part for part in parts if part] or default

    def finish(self) -> None:
        """Leave the program (status 2) with every problem in plain words, if there is any."""
        if self.problems:
            refuse(self.problems)


def refuse(problems: list[str]) -> NoReturn:
    """Print what has to be set, one line a setting, and leave with status 2."""
    lines = ["TEM cannot start with these settings:", *(f"  - {problem}" for problem in problems)]
    lines.append("Set them in the environment; .env.example describes each one.")
    print("\n".join(lines), file=sys.stderr)
    raise SystemExit(2)


def gitlab_base(address: str) -> str:
    """The address of the GitLab itself, whether or not `/api/v4` and slashes were given."""
    return address.rstrip("/").removesuffix("/api/v4").rstrip("/")


def require_gitlab(*, url: str, token: str) -> None:
    """Leave with status 2 when what a collecting command needs is absent; names everything missing."""
    given = {"GITLAB_API_URL": url, "GITLAB_API_TOKEN": token}
    missing = [
        f"{name}: is not set. It is {meaning} (or point {name}_FILE at a file that holds it)."
        for name, meaning in GITLAB_SETTINGS.items()
        if not given[name]
    ]
    if missing:
        refuse(missing)


def home_from(variables: Mapping[str, str]) -> Path:
    """TEM_HOME, where embedded data, generated secrets and logs live. Needs no other setting."""
    checkout = Path(__file__).resolve().parent.parent
    return Environment(variables).path("TEM_HOME", checkout / ".tem")


def kept_secret(home: Path, name: str) -> str:
    """The secret `name` of this installation: made at random once, kept in `home`, mode 0600.

    Several processes may ask first at the same moment; `os.link` lets exactly one of them win.
    """
    kept = home / "secrets" / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, kept)
        except FileExistsError:
            pass  # somebody else was first, and theirs counts
        finally:
            os.unlink(temporary)
    return kept.read_text(encoding="ascii")
