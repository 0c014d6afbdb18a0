"""What the templates are told. Every page is an address that can be sent, with scope and day in it."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import Any

from apps.exports.standing import Standing, published, standing
from apps.exports.summaries import scopes
from apps.exports.tiles import by_competency, tiles
from apps.exports.wording import WHY_NOT, figure, local
from apps.metrics.evidence import evidence
from apps.metrics.models import Scope
from apps.metrics.registry import Metric
from tem import clock

ENTITIES_SHOWN = 500
_DAY = dt.timedelta(days=1)
_KINDS = {"org": "Organisation", "business_line": "Business line", "team": "Team", "repo": "Repo"}
_HEADINGS = {"org": "Organisation", "business_line": "Business lines", "team": "Teams", "repo": "Repos"}


def dashboard_page(*, scope: str, day: dt.date | None, now: dt.datetime) -> dict[str, Any]:
    """The tiles of a scope on a day; without a day, on the last complete one that has values."""
    house = standing(now=now)
    known = scopes()
    found = next((each for each in known if each.key == scope), None)
    day = day or latest_day(house, today=clock.day_of(now))
    shown = tiles(found, day) if found and day else []
    has_values = any(tile.series.get(tile.day) for tile in shown)
    return {
        **_frame(house, scope=found, day=day, now=now),
        "title": name_of(found, house.org) if found else "Toman Engineering Metrics",
        "unknown_scope": scope if known and not found else "",
        "picker": _picker(known, house.org),
        "groups": by_competency(shown) if has_values else {},
        "inside": _inside(found, known),
    }


def evidence_page(*, metric: Metric, scope: Scope, day: dt.date, now: dt.datetime) -> dict[str, Any]:
    """One tile and the entities in its sample."""
    house = standing(now=now)
    (tile,) = tiles(scope, day, metrics=[metric])
    shown = evidence(metric.key, scope.key, day)
    return {
        **_frame(house, scope=scope, day=day, now=now),
        "title": metric.title,
        "scope_name": name_of(scope, house.org),
        "tile": tile,
        "command": shlex.join(["manage.py", "explain", metric.key, scope.key, str(day)]),
        "evidence": shown,
        "recomputed": None if shown.value is None else figure(shown.value, metric.unit),
        "agrees": shown.value == tile.stored.value,
        "entities": shown.entities[:ENTITIES_SHOWN],
        "left_out": [(one, WHY_NOT.get(one.reason, one.reason.replace("_", " "))) for one in shown.left_out],
        "not_shown": max(0, len(shown.entities) - ENTITIES_SHOWN),
    }


def _frame(house: Standing, *, scope: Scope | None, day: dt.date | None, now: dt.datetime) -> dict[str, Any]:
    """What the header, the picker and the footer of every page need."""
    today = clock.day_of(now)
    earlier, later = (day - _DAY, day + _DAY) if day else (None, None)
    first, last = house.first_day, house.last_day
    return {
        "house": house,
        "scope": scope,
        "kind": _KINDS[scope.kind] if scope else "",
        "day": day,
        "is_provisional": day == today,
        "earlier": earlier if earlier and first and earlier >= first else None,
        "later": later if later and last and later <= last else None,
        "formats": published(day) if day else [],
        "shown_at": local(now),
    }


def latest_day(house: Standing, *, today: dt.date) -> dt.date | None:
    """Today is not over, so it is shown only when it is asked for, or is all there is."""
    last, first = house.last_day, house.first_day
    return max(first, last - _DAY) if first and last == today else last


def name_of(scope: Scope, org: str) -> str:
    """The scope in the words of its people."""
    return org if scope.kind == Scope.Kind.ORG else getattr(scope, scope.kind)


def _picker(known: list[Scope], org: str) -> dict[str, list[tuple[str, str]]]:
    """Heading -> (key, name): the groups of the scope picker."""
    groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _HEADINGS.values()}
    for scope in known:
        groups[_HEADINGS[scope.kind]].append((scope.key, name_of(scope, org)))
    return {heading: sorted(members, key=lambda m: m[1]) for heading, members in groups.items() if members}


def _inside(scope: Scope | None, known: list[Scope]) -> list[tuple[str, str]]:
    """(key, name) of the scopes one level below, to walk down into."""
    if scope is None or scope.kind == Scope.Kind.REPO:
        return []
    kinds = list(_HEADINGS)
    below = kinds[kinds.index(scope.kind) + 1]
    return [
        (each.key, name_of(each, ""))
        for each in known
        if each.kind == below
        and scope.business_line in ("", each.business_line)
        and scope.team in ("", each.team)
    ]
