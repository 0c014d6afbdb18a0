"""What goes wrong on a line to GitLab, at the share of the requests that a test says, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.collector.line import HTML, JSON, PIECES, TEXT, Asked, Reply

TOO_MANY = b'{"message":{"error":"This endpoint has been requested too many times. Try again later."}}'
LIMITS = {"RateLimit-Limit": "600", "RateLimit-Remaining": "0"}
BUSY = (
    *(Reply(429, b"Retry later\n", {**TEXT, "Retry-After": wait}) for wait in ("0", "0.01")),
    *(
        Reply(429, b"Retry later\n", {"Retry-After": wait})
        for wait in ("-1", "soon", "", "NaN", "1e999", "Wed, 21 Oct 2015 07:28:00 GMT")
    ),
    *(Reply(429, b"", {**LIMITS, "RateLimit-Reset": reset}) for reset in ("0", "never", "-5")),
    *(Reply(429, TOO_MANY, JSON),) * 4,
)  # fmt: skip
DOWN = (
    Reply(502, b"<html><h1>Whoops, GitLab is taking too much time to respond.</h1></html>", HTML),
    Reply(503, b"<html>Deploy in progress</html>", {**HTML, "Retry-After": "0"}),
    Reply(500, b'{"message":"500 Internal Server Error"}', JSON),
    Reply(520, b"", {}),
)
WRONG = (
    Reply(200, b"<!DOCTYPE html><html><body>You need to sign in</body></html>", HTML),
    Reply(200, b"  <html>a page that says it is JSON</html>", JSON),
    Reply(200, b"", JSON),
    Reply(200, b'{"message":"an object where a list was expected"', JSON),
)


def truncated(reply: Reply) -> Reply:
    """Half of the body, with the length of a half: whole on the wire, broken as JSON."""
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def cut(reply: Reply) -> Reply:
    """The line breaks in mid-body."""
    return replace(reply, cut=True)


def dripping(reply: Reply) -> Reply:
    """Piece after piece."""
    return replace(reply, drip=PIECES)


def sometimes(*replies: Reply, share: float, seed: int) -> Callable[[Asked], Reply | None]:
    """One of these in GitLab's place, at this share of the requests."""
    rng = random.Random(seed)
    return lambda asked: rng.choice(replies) if rng.random() < share else None


def spoiling(
    *ways: Callable[[Reply], Reply],
    share: float,
    seed: int,
    only: Callable[[Asked], bool] = lambda asked: True,
) -> Callable[[Asked, Reply], Reply]:
    """GitLab's answer, at this share of the requests spoiled in one of these ways."""
    rng = random.Random(seed)
    return lambda asked, reply: rng.choice(ways)(reply) if only(asked) and rng.random() < share else reply


# --- what GraphQL says with status 200 ------------------------------------------------------------


def failing_in_part(message: str) -> Callable[[Reply], Reply]:
    """The answer with null where its lists were, and an error beside it."""

    def spoil(reply: Reply) -> Reply:
        found = json.loads(reply.body)
        if "data" not in found or "project" not in found["data"]:
            return reply
        found["data"]["project"] = dict.fromkeys(found["data"]["project"] or {})
        found["errors"] = [{"message": message, "path": ["project"]}]
        return replace(reply, body=json.dumps(found).encode())

    return spoil


def with_null_nodes(rng: random.Random, *, share: float) -> Callable[[Reply], Reply]:
    """This share of all nodes comes as null, at any depth."""

    def strike(value: Any) -> Any:
        if isinstance(value, list):
            return [strike(one) for one in value]
        if not isinstance(value, dict):
            return value
        nodes = value.get("nodes")
        if isinstance(nodes, list):
            value = {**value, "nodes": [None if rng.random() < share else one for one in nodes]}
        return {name: strike(inner) for name, inner in value.items()}

    return lambda reply: replace(reply, body=json.dumps(strike(json.loads(reply.body))).encode())
