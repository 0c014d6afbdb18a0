"""What may go wrong with GitLab, and what each means for the run.

TemError
├── TokenRefused          401, or a token without the scope: fail the run, page somebody
├── GitlabRefused         403 or 404: leave out one entity or one project, with the reason
│   └── RouteRefused      this server cannot answer this way: take the next route
└── GitlabUnavailable     429, 5xx, timeouts, nonsense, after retries: wait and try again
    ├── OutOfBudget       nothing was asked: the budget of the next minutes is spoken for
    └── TooSlow           it ran into a time limit: ask for less at once
        └── TooComplex    GitLab weighed the question and will not take it: less at once, for good

No message holds a token, a payload or a personal datum.
"""

from __future__ import annotations

from tem.errors import TemError


class TokenRefused(TemError):
    """GitLab does not accept the token; nothing can be collected."""


class GitlabRefused(TemError):
    """GitLab will not show this (403) or says that it does not exist (404)."""

    def __init__(self, message: str, *, reason: str = "no_access", status: int = 404) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class RouteRefused(GitlabRefused):
    """The server does not know this query or parameter; another route may give the same.

    `lasting`: it would refuse again, so the route is not tried until the server is probed anew.
    """

    def __init__(self, message: str, *, status: int = 400, lasting: bool = True) -> None:
        super().__init__(message, status=status)
        self.lasting = lasting


class GitlabUnavailable(TemError):
    """GitLab could not answer now. `retry_after_s`: seconds after which it is worth asking again."""

    def __init__(self, message: str, *, retry_after_s: float = 60.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutOfBudget(GitlabUnavailable):
    """No turn within our patience. That is no failure of the step, however often it happens."""


class TooSlow(GitlabUnavailable):
    """The answer ran into a time limit, ours or GitLab's; a smaller page may pass."""


class TooComplex(TooSlow):
    """GitLab weighs a query before it runs it; one this heavy it will never take."""
