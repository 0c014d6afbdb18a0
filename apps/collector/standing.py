"""How the collection stands, for whoever watches it: server, routes, lag, quarantine, hints."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.db import connection
from django.db.models import Count

from apps.collector.endpoints import ENDPOINTS
from apps.collector.exclusions import LEFT_ALONE
from apps.collector.models import IngestionState, Quarantine, Server
from apps.collector.rest import Rest
from apps.collector.server import Abilities
from apps.collector.witnesses import NEEDS

_LAG = """
    select s.entity, min(s.last_seen_updated_at), count(*) filter (where s.history_from is null)
      from ingestion_state s
      join dim_project p on p.project_id = s.level_id and p.in_scope
      left join exclusion e on e.project_id = p.project_id
     where s.level = 'project' and s.entity = any(%(entities)s) and s.unavailable = ''
       and (e.reason is null or e.reason <> all(%(left_alone)s))
     group by s.entity
"""


class Lag(NamedTuple):
    """The oldest watermark of an entity, UTC; None where nothing was read to its end. `unread`: projects
    whose reading of all history has begun and not ended."""

    oldest: dt.datetime | None
    unread: int


class Quarantined(NamedTuple):
    """Rows in the quarantine by table, and how many of them somebody asked to have read again."""

    rows: dict[str, int]
    asked: int


def lags() -> dict[str, Lag]:
    """By list, over the projects in scope that there is something to collect from.

    Only lists that every collection reads or proves to be at rest: what is asked for when one of these
    brought something has a mark as old as that, and is not late.
    """
    names = [one.name for one in ENDPOINTS if one.needed is None and isinstance(one.routes[0].source, Rest)]
    told = {"entities": names, "left_alone": [str(reason) for reason in LEFT_ALONE]}
    with connection.cursor() as cursor:
        cursor.execute(_LAG, told)
        found = {entity: Lag(oldest, unread) for entity, oldest, unread in cursor.fetchall()}
    return {name: found[name] for name in names if name in found}


def routes(server: Server) -> dict[str, dict[str, str]]:
    """Entity -> the ways to it, best first -> what stands in the way of each, "" where nothing does.

    `projects_at_rest` is the probe of a whole group, which spares projects that did nothing.
    """
    abilities = Abilities(server)
    found = {
        one.name: {
            # a list has but one way, which bears its name
            "rest" if route.name == one.name else route.name: abilities.obstacle(
                one.name, route.name, needs=route.source.needs
            )
            for route in one.routes
        }
        for one in ENDPOINTS
    }
    return found | {
        "projects_at_rest": {"graphql": abilities.obstacle("projects_at_rest", "graphql", needs=NEEDS)}
    }


def quarantined() -> Quarantined:
    """What could not be read, and waits."""
    counts = Quarantine.objects.order_by("entity").values_list("entity").annotate(rows=Count("id"))
    return Quarantined(dict(counts), Quarantine.objects.filter(asked_again_at__isnull=False).count())


def hints() -> int:
    """How many lists somebody told us of, that no collection has read since."""
    return IngestionState.objects.filter(dirty_at__isnull=False).count()
