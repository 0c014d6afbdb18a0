"""The environment, read once: every wrong or missing setting is reported, together, by name.

Knows names, types and where a value may stand (NAME or NAME_FILE). Knows no meaning, and never
prints the value of a setting: it may be a secret.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
import tempfile
import zoneinfo
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parent.parent
SIGNING_KEY = "whsec_"
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
        has_place = bool(parts.hostname) or "socket" in parts.scheme or "host=" in parts.query
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

    def addresses(self, name: str) -> list[str]:
        """Addresses with blanks or line breaks between; whether somebody answers there is not known here."""
        found = self.text(name).split()
        if any("://" not in address for address in found):
            self.wrong(name, "must be addresses as slack://… or mailto://…, with blanks between them.")
            return []
        return found

    def gitlab_url(self) -> str:
        """The address of the GitLab itself, whether or not `/api/v4` and slashes were given."""
        address = self.address(
            "GITLAB_API_URL", schemes=("https", "http"), example="https://gitlab.example.com"
        )
        return address.rstrip("/").removesuffix("/api/v4").rstrip("/")

    def gitlab_token(self) -> str:
        """The token; a line break or blank inside cannot be part of one and would break a header."""
        token = self.text("GITLAB_API_TOKEN")
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            self.wrong("GITLAB_API_TOKEN", "holds characters that no GitLab token has.")
            return ""
        return token

    def signing_key(self, name: str) -> bytes:
        """The bytes of a key: base64 after `whsec_`, as Standard Webhooks writes it, else the text itself."""
        value = self.text(name)
        if not value.startswith(SIGNING_KEY):
            return value.encode()
        try:
            return base64.b64decode(value.removeprefix(SIGNING_KEY), validate=True)
        except ValueError:
            self.wrong(name, f"must be base64 after {SIGNING_KEY}.")
            return b""

    def database(self) -> str:
        """The user's own PostgreSQL, or the empty string for the embedded one."""
        example = "postgresql://user:password@host:5432/tem"
        return self.address("TEM_DB_CONNECTION", schemes=("postgresql", "postgres"), example=example)

    def redis(self) -> str:
        """The user's own Redis or Valkey, or the empty string for the embedded one."""
        schemes = ("redis", "rediss", "redis+socket")
        return self.address("TEM_REDIS_URL", schemes=schemes, example="redis://host:6379/0")

    def finish(self) -> None:
        """Leave the program with every problem in plain words, if there is any."""
        if self.problems:
            raise SettingsWrong(self.problems)


class SettingsWrong(SystemExit):
    """Ends the program with status 2, after saying what has to be set, one line a setting."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(2)
        self.problems = problems
        lines = ["TEM cannot start with these settings:", *(f"  - {problem}" for problem in problems)]
        lines.append("Set them in the environment or in .env; .env.example describes each one.")
        print("\n".join(lines), file=sys.stderr)


def missing_gitlab(*, url: str, token: str) -> list[str]:
    """What a collecting command lacks, in words; empty when it lacks nothing."""
    given = {"GITLAB_API_URL": url, "GITLAB_API_TOKEN": token}
    return [
        f"{name}: is not set. It is {meaning} (or point {name}_FILE at a file that holds it)."
        for name, meaning in GITLAB_SETTINGS.items()
        if not given[name]
    ]


def require_gitlab(*, url: str, token: str) -> None:
    """Leave with status 2 when what a collecting command needs is absent; names everything missing."""
    if missing := missing_gitlab(url=url, token=token):
        raise SettingsWrong(missing)


def load_dotenv(variables: MutableMapping[str, str], file: Path = CHECKOUT / ".env") -> None:
    """Add the NAME=value lines of `.env`, where there is one; what is set already wins."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for line in lines:
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            variables.setdefault(name.strip(), value.strip().strip("'\""))


def home_from(variables: Mapping[str, str]) -> Path:
    """TEM_HOME, where embedded data, generated secrets and logs live. Needs no other setting."""
    return Environment(variables).path("TEM_HOME", CHECKOUT / ".tem")


def kept_secret(home: Path, name: str, *, size: int = 48) -> str:
    """The secret `name` of this installation: `size` random bytes made once, kept in `home`, mode 0600.

    Several processes may ask first at the same moment; `os.link` lets exactly one of them win.
    """
    kept = home / "secrets" / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(size))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, kept)
        except FileExistsError:
            pass  # somebody else was first, and theirs counts
        finally:
            os.unlink(temporary)
    return kept.read_text(encoding="ascii")
