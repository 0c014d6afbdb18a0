"""What can go wrong, by chance from a seed: told on the command line or by POST /-/demo/faults."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any

import msgspec

from demo.paging import Header

HTML = b"<html><head><title>GitLab is not responding</title></head><body><h1>Whoops</h1></body></html>"


@dataclass
class Faults:
    """Shares are between 0 and 1 of the requests; `revoke_token_after` counts requests, -1 is never."""

    seed: int = 0
    status_429: float = 0.0
    html_502: float = 0.0
    truncate: float = 0.0
    reset: float = 0.0
    drip: float = 0.0
    html_200: float = 0.0
    nul_title: float = 0.0
    unknown_enum: float = 0.0
    missing_key: float = 0.0
    forbid_project: int | list[int] = field(default_factory=list)
    revoke_token_after: int = -1
    null_nodes: float = 0.0
    partial_error: float = 0.0

    def __post_init__(self) -> None:
        self._rng = Random(f"faults/{self.seed}")
        self._served = 0

    @classmethod
    def of(cls, wanted: dict[str, Any]) -> Faults:
        """Raises ValueError for an unknown name or a value of another kind."""
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(wanted) - known):
            raise ValueError(f"unknown faults: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        try:
            return msgspec.convert(wanted, cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    @property
    def closed(self) -> list[int]:
        """The projects that answer 403."""
        return [self.forbid_project] if isinstance(self.forbid_project, int) else self.forbid_project

    def revoked(self) -> bool:
        """Count a request; true once the token has been used up."""
        self._served += 1
        return 0 <= self.revoke_token_after < self._served

    def happens(self, name: str) -> bool:
        """Whether this fault strikes now."""
        share = getattr(self, name)
        return share > 0 and self._rng.random() < share

    def too_many(self, reset_at: int) -> tuple[int, bytes, bytes, list[Header]]:
        """A 429 in one of four manners: with a Retry-After, a senseless one, a reset time, or bare JSON."""
        manner = self._rng.randrange(4)
        if manner < 2:
            wait = (b"1", b"in a while")[manner]
            return 429, b"Retry later\n", b"text/plain", [(b"Retry-After", wait)]
        if manner == 2:
            headers = [(b"RateLimit-Limit", b"600"), (b"ratelimit-remaining", b"0"),
                       (b"RateLimit-Reset", b"%d" % reset_at)]  # fmt: skip
            return 429, b"Retry later\n", b"text/plain", headers
        body = b'{"message":{"error":"This endpoint has been requested too many times. Try again later."}}'
        return 429, body, b"application/json", []

    def spoil(self, body: bytes) -> bytes:
        """Bad values in an otherwise good answer."""
        if self.happens("nul_title"):
            body = re.sub(rb'"title":"', rb'"title":"\\u0000', body, count=1)
        if self.happens("unknown_enum"):
            body = re.sub(rb'"(status|state)":"\w+"', rb'"\1":"waiting_for_godot"', body, count=1)
        if self.happens("missing_key"):
            body = re.sub(rb'"(updated_at|sha|iid)":("[^"]*"|\d+),', b"", body, count=1)
        return body
