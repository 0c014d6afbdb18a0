"""The demo's own doors, outside the API: clock, faults, statistics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from demo.faults import Faults
from demo.render import encode
from demo.times import SECOND, iso

if TYPE_CHECKING:
    from demo.server import Server

MOST = 10**6
FARTHEST_S = 10 * 366 * 86_400  # the years that one step of the clock may take


def _clock(server: Server, wanted: dict[str, Any]) -> Any:
    return {"now": iso(server.world.now)}


def _advance(server: Server, wanted: dict[str, Any]) -> Any:
    seconds = float(wanted["advance_seconds"])
    if not math.isfinite(seconds) or not 0 <= seconds <= FARTHEST_S:
        raise ValueError(f"advance_seconds must lie between 0 and {FARTHEST_S}")
    server.world.move_to(server.world.now + int(seconds * SECOND))
    return _clock(server, wanted)


def _faults(server: Server, wanted: dict[str, Any]) -> Any:
    return {name: value for name, value in vars(server.faults).items() if not name.startswith("_")}


def _go_wrong(server: Server, wanted: dict[str, Any]) -> Any:
    server.faults = Faults.of(wanted)
    return _faults(server, wanted)


def _statistics(server: Server, wanted: dict[str, Any]) -> Any:
    return dict(server.counts)


def _count_anew(server: Server, wanted: dict[str, Any]) -> Any:
    server.counts.clear()
    return {}


def _slow_down(server: Server, wanted: dict[str, Any]) -> Any:
    latency, budget = wanted["latency_ms"], wanted["per_minute"]
    if not all(isinstance(value, int) and 0 <= value <= MOST for value in (latency, budget)):
        raise ValueError(f"latency_ms and per_minute must be whole numbers from 0 to {MOST}")
    server.limit(latency_ms=latency, per_minute=budget)
    return {"latency_ms": latency, "per_minute": budget}


DOORS = {
    ("GET", "/-/demo/clock"): _clock,
    ("POST", "/-/demo/clock"): _advance,
    ("GET", "/-/demo/faults"): _faults,
    ("POST", "/-/demo/faults"): _go_wrong,
    ("POST", "/-/demo/limits"): _slow_down,
    ("GET", "/-/demo/stats"): _statistics,
    ("POST", "/-/demo/reset-stats"): _count_anew,
}


def control(server: Server, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and JSON of a door; 400 says what was wrong with the wish."""
    door = DOORS.get((method, path))
    if door is None:
        return 404, b'{"error":"404 Not Found"}'
    try:
        wanted = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
        return 200, encode(door(server, wanted))
    except KeyError as error:
        return 400, encode({"error": f"{error.args[0]} is missing"})
    except (ValueError, TypeError, msgspec.DecodeError) as error:
        return 400, encode({"error": str(error)})
