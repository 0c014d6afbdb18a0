"""What an answer is worth: its value, another try, another way, nothing, or the end of all asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from apps.collector.errors import GitlabRefused, GitlabUnavailable, RouteRefused, TokenRefused

TIME_LIMITS = frozenset({408, 502, 504, 524})
OUTCOMES = ("ok", "unauthorized", "refused", "busy", "slow", "down", "unreadable")
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 531)})


class Again(Exception):
    """Worth another try, after `wait_s` if the server said so. `down`: nothing says that it is up."""

    def __init__(
        self,
        cause: str,
        *,
        wait_s: float | None = None,
        slow: bool = False,
        busy: bool = False,
        down: bool = False,
    ) -> None:
        super().__init__(cause)
        self.wait_s, self.slow, self.busy, self.down = wait_s, slow, busy, down


def verdict(status: int, body: bytes, *, where: str, wait_s: float | None) -> Exception:
    """The error for a status that is not 2xx.

    `body`: how the answer begins, in lower case; `where`: the server's name in words.
    """
    if status == 401:
        return TokenRefused(f"{where} refused the token (401): set GITLAB_API_TOKEN to a valid one.")
    if status == 403 and b"insufficient_scope" in body:
        return TokenRefused("The token lacks a scope (403): GITLAB_API_TOKEN needs read_api.")
    if status in AGAIN:
        slow, busy, down = status in TIME_LIMITS, status == 429, status >= 500
        return Again(f"status {status}", wait_s=wait_s, slow=slow, busy=busy, down=down)
    if 300 <= status < 400:
        return GitlabUnavailable(f"{where} redirects elsewhere ({status}): set GITLAB_API_URL to that.")
    if status in (403, 404, 410):
        return GitlabRefused(f"GitLab answered {status}", status=status)
    return RouteRefused(f"GitLab did not take the request ({status})", status=status)


def outcome(error: Exception | None) -> str:
    """What came of a call, in one word of a closed list (OUTCOMES)."""
    match error:
        case None:
            return "ok"
        case TokenRefused():
            return "unauthorized"
        case GitlabRefused():
            return "refused"
        case Again(busy=True):
            return "busy"
        case Again(slow=True):
            return "slow"
        case Again(down=True):
            return "down"
        case _:
            return "unreadable"


def decoded(body: bytes, *, kind: str, decode: Callable[[bytes], Any]) -> Any:
    """The value of a body that a status of 2xx came with; raises Again where it is not what it should be."""
    kind = kind.partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") or body[:64].lstrip()[:1] == b"<":
        raise Again("an HTML page where JSON was expected (a sign-in page, a proxy, no GitLab API at all)")
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise Again(f"JSON of another shape than GitLab's ({error})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Again("broken or cut-off JSON") from error
