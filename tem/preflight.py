"""What is checked before the product starts on the user's own services: all of it, at once, in words.

Each check answers a problem or nothing. No check prints an address with a password, or a token.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tem.environment import Environment, SettingsWrong, missing_gitlab

PATIENCE_S = 10


def problems_of(variables: Mapping[str, str], *, collecting: bool = True) -> list[str]:
    """Every problem with the settings and with the services that they name; empty when all is well.

    A GitLab that is not named is a problem where the product is going to collect.
    """
    env = Environment(variables)
    url, token, database, redis = env.gitlab_url(), env.gitlab_token(), env.database(), env.redis()
    checks: list[tuple[str, Callable[[], str]]] = [
        (database, lambda: database_problem(database)),
        (redis, lambda: redis_problem(redis)),
        (url, lambda: gitlab_problem(url, token)),
    ]
    named = {problem.split(":")[0].removesuffix("_FILE") for problem in env.problems}
    missing = missing_gitlab(url=url, token=token) if collecting else []
    tried = [check() for given, check in checks if given]
    new = [words for words in missing if words.split(":")[0] not in named]
    return [*settings_problems(), *new, *(problem for problem in tried if problem)]


def settings_problems() -> list[str]:
    """What `tem.settings` itself finds wrong, without letting it end the program."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            import tem.settings  # noqa: F401  (imported for what it reports)
        except SettingsWrong as wrong:
            return wrong.problems
    return []


def database_problem(address: str) -> str:
    """Whether PostgreSQL lets us in."""
    import psycopg

    try:
        psycopg.connect(address, connect_timeout=PATIENCE_S).close()
    except psycopg.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"TEM_DB_CONNECTION: PostgreSQL cannot be used: {reason}"
    return ""


def redis_problem(address: str) -> str:
    """Whether Redis lets us in and answers."""
    import redis

    try:
        client = redis.Redis.from_url(
            address.replace("redis+socket://", "unix://"),
            socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S,
        )
        with client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        return f"TEM_REDIS_URL: Redis cannot be used: {error}"
    return ""


def gitlab_problem(url: str, token: str) -> str:
    """Whether a GitLab answers there, and takes the token. Follows no redirect: it would carry the token."""
    place = urlsplit(url)
    try:
        status, body = _ask(url, token)
    except socket.gaierror:
        return f"GITLAB_API_URL: the host name {place.hostname} cannot be found (DNS)."
    except ssl.SSLError as error:
        return f"GITLAB_API_URL: no trusted TLS connection to {place.hostname}: {error.reason}."
    except (OSError, http.client.HTTPException) as error:
        return f"GITLAB_API_URL: no connection to {place.hostname}: {error or type(error).__name__}."
    return _judge(status, body, has_token=bool(token), host=place.hostname or "")


def _ask(url: str, token: str) -> tuple[int, bytes]:
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    with contextlib.closing(kind(place.hostname or "", place.port, timeout=PATIENCE_S)) as link:
        link.request("GET", f"{place.path}/api/v4/version", headers={"PRIVATE-TOKEN": token} if token else {})
        answer = link.getresponse()
        return answer.status, answer.read(100_000)


def _judge(status: int, body: bytes, *, has_token: bool, host: str) -> str:
    if status == 401:
        return (
            "GITLAB_API_TOKEN: GitLab refuses this token (401): it is wrong, expired or revoked." * has_token
        )
    if status == 403:
        return "GITLAB_API_TOKEN: GitLab answers 403: the token needs the scope read_api."
    if 300 <= status < 400:
        return (
            f"GITLAB_API_URL: {host} redirects elsewhere: give the final address, with https where it has it."
        )
    if status in (429, 503) or _speaks_json(body):  # busy is not wrong; some hide /version: the run will see
        return ""
    return f"GITLAB_API_URL: what answers at {host} (status {status}) does not look like GitLab's API."


def _speaks_json(body: bytes) -> bool:
    """An API answers with an object even where it refuses; a web site or a proxy answers with a page."""
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False
