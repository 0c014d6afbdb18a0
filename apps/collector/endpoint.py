"""Endpoint: a row of the endpoint table, and the short ways to write one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.db import models

from apps.collector.fields import Field, at, given
from apps.collector.models import Project
from apps.collector.people import person
from apps.collector.route import Route
from apps.collector.tables import Table


@dataclass(frozen=True)
class Endpoint:
    """One entity. `routes`: the ways to it, best first; each takes up what the ones before left.

    `feature`: the part of a project that must be switched on. `snapshot`: the answer is the whole truth, rows
    that it lacks are removed. `witness`: what the probe of a whole group must see unchanged for this to be at
    rest. `follows`: nothing is new here while nothing changed there. `needed`: asked only where it says so,
    once it was read. `single`: the address of one row; with it, rows that GitLab lost are found and marked.
    `covers`: entities that it brings all at once, in fewer requests where little is new.
    """

    name: str
    routes: tuple[Route, ...]
    feature: str = ""
    snapshot: bool = False
    witness: str = ""
    follows: str = ""
    needed: Callable[[int, dt.datetime], bool] | None = None
    single: str = ""
    covers: tuple[str, ...] = ()

    @cached_property
    def main(self) -> Table:
        return self.routes[0].tables[0]


def endpoint(
    name: str,
    *,
    source: Any,
    into: type[models.Model],
    key: tuple[str, ...],
    fields: Mapping[str, Any],
    newest: str = "",
    keeps: tuple[str, ...] = (),
    births: tuple[str, ...] = (),
    people: tuple[str, ...] = (),
    **told: Any,
) -> Endpoint:
    """An endpoint with one route and one table, and the people that stand in its rows."""
    owner = {"project_id": given("project_id")} if into is not Project else {}
    table = Table(into=into, key=key, fields={**owner, **fields}, newest=newest, keeps=keeps, births=births)
    route = Route(name=name, source=source, tables=(table, person(*people)) if people else (table,))
    return Endpoint(name=name, routes=(route,), **told)


def swept(one: Endpoint, path: str) -> Endpoint:
    """The same list for a whole group at once; rows of projects that we do not collect are left out."""
    route = one.routes[0]
    elsewhere = Field(lambda item, document, given: item.project_id not in given["within"], ("project_id",))
    table = replace(one.main, fields={**one.main.fields, "project_id": at("project_id")}, skips=elsewhere)
    return replace(
        one, routes=(Route(route.name, replace(route.source, path=path), (table, *route.tables[1:])),)
    )
