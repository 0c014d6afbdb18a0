"""Numbers and reasons in words for people. Knows units and directions, no metric by name."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from tem import clock

WHY_NOT = {
    "before_history": "The window begins before the collected history. A longer backfill fills it.",
    "not_on_this_tier": "This GitLab's tier or version does not tell it.",
    "feature_disabled": "The feature is switched off in these projects.",
    "no_access": "The token may not read it. It needs the scope read_api and membership in the projects.",
    "no_sample": "Nothing in this window counts for it.",
}
NOT_COLLECTED = "What it needs is not collected by this version of TEM."
NAMES_OF_WINDOWS = {"D1": "1 day", "D7": "7 days", "D30": "30 days", "D90": "90 days", "EOD": "end of day"}
_DAYS = {"D1": 1, "D7": 7, "D30": 30, "D90": 90, "EOD": 7}


def period_days(window: str) -> int:
    """How far back the previous period lies; a state at the end of a day is compared with a week earlier."""
    return _DAYS[window]


def rounded(value: Decimal, places: int) -> str:
    """Halves away from zero, thousands set apart by a narrow space."""
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}".replace(",", "\u202f")


def figure(value: Decimal, unit: str) -> str:
    """A value with its unit, as short as a tile needs it: hours, seconds and shares to one decimal."""
    if unit == "ratio":
        return f"{rounded(value * 100, 1)}\u00a0%"
    if unit == "count":
        return rounded(value, 0 if value == value.to_integral_value() else 1)
    return f"{rounded(value, 1)}\u00a0{unit}"


@dataclass(frozen=True)
class Change:
    """How a value moved against the previous period: never by colour alone."""

    verdict: str
    arrow: str
    amount: str
    since: dt.date

    @property
    def sentence(self) -> str:
        """The move and what it means: `+2.1 h, worse`."""
        return ", ".join(part for part in (self.amount, self.verdict) if part)

    @property
    def link(self) -> str:
        return "than on" if self.verdict in ("better", "worse") else "since"


def change(
    now: Decimal | None, before: Decimal | None, *, unit: str, better: str, since: dt.date
) -> Change | None:
    """The move from `before` to `now`; None where one of them is not measured."""
    if now is None or before is None:
        return None
    move = now - before
    if move == 0:
        return Change("unchanged", "=", "", since)
    arrow = "▲" if move > 0 else "▼"
    verdict = "" if better == "neither" else "better" if (move > 0) == (better == "up") else "worse"
    sign = "+" if move > 0 else "\u2212"
    amount = f"{rounded(abs(move) * 100, 1)} points" if unit == "ratio" else figure(abs(move), unit)
    return Change(verdict, arrow, sign + amount, since)


def local(instant: dt.datetime | None) -> str:
    """An instant on the clock of the reader's zone."""
    return "" if instant is None else f"{instant.astimezone(clock.zone()):%a %-d %b %Y, %H:%M}"
