"""The budget that all processes share, in Redis: one script, one call a request. Knows no HTTP."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.collector.limits import MINUTE_S, Limit

CONNECT_S, ANSWER_S = 0.5, 1.0
FAILURES, PAUSE_S = 20, 15.0  # in a row until a server counts as down, and the first pause then
SOON_S = 3.0  # until somebody asks how a probe went
PROBE_S = 80.0  # longer than the client waits for an answer: after that, the one who probed is dead
_SCRIPT = Path(__file__).with_suffix("").with_name("budget.lua")


@dataclass(frozen=True, slots=True)
class Slot:
    """A turn, in `wait_s` seconds; or, where `refusal` says "late" or "broken", none before that.

    `limit`: of the general budget for a minute, 0 where none is known. `is_probe`: the one request that may
    find out whether a server is back. `cause`: why it counts as down.
    """

    wait_s: float
    refusal: str = ""
    limit: float = 0.0
    processes: int = 1
    is_probe: bool = False
    cause: str = ""


@lru_cache(maxsize=8)
def _connection(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://"),
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


class SharedBudget:
    """Raises redis.RedisError where Redis does not answer. `window_s`: the length of GitLab's minute."""

    def __init__(self, url: str, *, key: str, window_s: float = MINUTE_S) -> None:
        self._script = _connection(url).register_script(_SCRIPT.read_text(encoding="utf-8"))
        self._keys = [f"{{{key}}}", f"{{{key}}}:processes"]
        self._scale = window_s / MINUTE_S

    def reserve(
        self,
        limits: tuple[Limit, ...],
        *,
        patience_s: float,
        fine_since_s: float | None = None,
        after_s: float = 0.0,
        calls: Mapping[str, int] | None = None,
        now: float | None = None,
    ) -> Slot:
        """A turn for a request under all these limits, in at most `patience_s`; none is taken otherwise.

        `fine_since_s`: so long ago this process had its last good answer. `after_s`: no turn before that.
        `calls`: how many of this process ended how since it last asked.
        """
        told: dict[str, Any] = {
            "limits": [self._plain(limit) for limit in limits],
            "patience": patience_s * 1000,
            "after": after_s * 1000,
            "process": f"{platform.node()}:{os.getpid()}",
            "lease": PROBE_S * 1000,
            "calls": dict(calls or {}),
            "soon": SOON_S * self._scale * 1000,
        }
        if fine_since_s is not None:
            told["fine_since"] = fine_since_s * 1000
        verdict, wait_ms, limit, processes, probe, cause = self._run("reserve", told, now)
        refusal = "" if verdict == "granted" else verdict
        return Slot(wait_ms / 1000, refusal, float(limit), processes, bool(probe), cause)

    def told(self, limit: Limit, most: float, *, now: float | None = None) -> None:
        """The server says how much this limit is."""
        self._run("told", {"limit": self._plain(limit), "most": most}, now)

    def hold(self, limit: Limit, wait_s: float, *, now: float | None = None) -> None:
        """Nobody leaves under this limit for so long."""
        self._run("hold", {"limit": self._plain(limit), "wait": wait_s * 1000}, now)

    def refused(self, limit: Limit, wait_s: float, *, blind: bool, now: float | None = None) -> None:
        """A 429. `blind`: it did not say for how long, so the pace that was kept was too much."""
        self._run("refused", {"limit": self._plain(limit), "wait": wait_s * 1000, "blind": blind}, now)

    def failed(self, *, cause: str, is_probe: bool, now: float | None = None) -> None:
        """The server did not answer, or not as one that is up."""
        told = {"cause": cause, "probe": is_probe, "most": FAILURES, "first": PAUSE_S * self._scale * 1000}
        self._run("failed", told, now)

    def fine(self, *, now: float | None = None) -> None:
        """The server is back."""
        self._run("fine", {}, now)

    def standing(self, limit: Limit, *, now: float | None = None) -> dict[str, Any]:
        """What is known and was counted, by the names of the script."""
        found: dict[str, Any] = json.loads(self._run("standing", {"limit": self._plain(limit)}, now))
        return found

    def _plain(self, limit: Limit) -> dict[str, Any]:
        window_ms = limit.window_s * self._scale * 1000
        return {"name": limit.name, "most": limit.most, "window": window_ms, "burst": limit.burst}

    def _run(self, command: str, told: Mapping[str, Any], now: float | None) -> Any:
        told = {**told, "minute": MINUTE_S * self._scale * 1000}
        if now is not None:
            told["now"] = now * 1000
        return self._script(keys=self._keys, args=[command, json.dumps(told)])
