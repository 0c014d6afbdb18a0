"""Whether GitLab's token goes on being good: it always expires, a year after it was made at the latest."""

from __future__ import annotations

import datetime as dt

from apps.collector.client import Client
from apps.collector.errors import TokenRefused
from apps.runs import alerts
from tem import probes
from tem.errors import TemError

WARNED_BEFORE = (14, 3, 1)  # days


def look(*, now: dt.datetime) -> None:
    """Tell people once at each of so many days before its end, and of a scope that it lacks.

    A GitLab that does not answer, or does not tell (older ones, other kinds of tokens), is no news here.
    """
    try:
        told = probes.own_token(Client.from_settings())
    except TokenRefused as error:
        _tell(f"refused {now:%Y-%m-%d}", str(error), now=now)
        return
    except TemError:
        return  # `/readyz` and the runs say so, loudly enough
    if told is None:
        return
    if told.expires_at is not None:
        _look_at_end(told, told.expires_at, now=now)
    if not told.may_read:
        _tell(f"{told.id} scopes", "The token lacks the scope read_api: nothing can be collected.", now=now)


def _look_at_end(told: probes.Token, end: dt.date, *, now: dt.datetime) -> None:
    left = (end - now.date()).days
    reached = [days for days in WARNED_BEFORE if left <= days]
    if reached:
        when = (
            f"in {left} days"
            if left > 1
            else "tomorrow"
            if left == 1
            else "today"
            if left == 0
            else "already"
        )
        text = f"GitLab's token ends on {end}, {when}. Without it nothing is collected."
        _tell(f"{told.id} {end} {reached[-1]}", text, now=now)


def _tell(occasion: str, text: str, *, now: dt.datetime) -> None:
    alerts.raise_alert(alerts.TOKEN_EXPIRES, occasion=occasion, text=text, now=now)
