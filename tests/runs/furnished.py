"""A house for a fault: a furnished database, the world, and what an undisturbed run leaves."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from django.db import connection
from django.test import override_settings

from tem import clock, pipeline
from tests.acceptance.plain_gitlab import TOKEN, serving
from tests.acceptance.running import queues_of_our_own
from tests.runs.gate import a_world, drain, wait_until
from tests.runs.house import HASH_KEY, House, address_of, furnish, over
from tests.runs.test_kill import content, differing

DAYS = 3


class Furnished(NamedTuple):
    """A database to copy, the world that it is about, and what an undisturbed run leaves in a copy."""

    database: str
    world: dict
    parameters: dict
    calm: dict[str, list[str]]


@contextmanager
def copied(name: str, *, template: str) -> Iterator[str]:
    """The address of a copy of a database, dropped in the end."""
    with closing(psycopg.connect(address_of("postgres"), autocommit=True)) as admin:
        admin.execute(f"create database {name} template {template}")
        try:
            yield address_of(name)
        finally:
            admin.execute(f"drop database {name} with (force)")


def asking(address: str) -> Callable[[str], list[tuple]]:
    """What answers questions from the database there."""

    def ask(question: str) -> list[tuple]:
        with closing(psycopg.connect(address, autocommit=True)) as link:
            return link.execute(question).fetchall()

    return ask


@contextmanager
def furnishing(folder: Path) -> Iterator[Furnished]:
    """From the test database, which may have no transaction under way."""
    ours = connection.settings_dict["NAME"]
    world = a_world(clock.midnight(clock.day_of(clock.now()) - dt.timedelta(days=1)))
    name = f"{ours}_faults_{os.getpid()}"
    connection.close()
    with copied(name, template=ours):
        with over(name):
            furnish(folder / "org.yaml")
        with copied(f"{name}_calm", template=name) as calm, over(f"{name}_calm"):
            parameters = undisturbed(world, folder)
            connection.close()
            found = content(asking(calm))
        yield Furnished(name, world, parameters, found)


def undisturbed(world: dict, folder: Path) -> dict:
    """A run in this process, in which nothing fails; what it was asked."""
    with serving(world) as address, queues_of_our_own():
        told = {"GITLAB_URL": address, "GITLAB_TOKEN": TOKEN, "TEM_EXPORT_DIR": folder / "exports"}
        with override_settings(TEM_EMAIL_HASH_KEY=HASH_KEY, **told):
            run = drain(pipeline.start("backfill", slot="calm", now=clock.now(), days=DAYS))
    assert run.state == "done", run.reason
    return run.parameters


@contextmanager
def house(furnished: Furnished, world: dict, folder: Path) -> Iterator[House]:
    """A new house in this folder, over this version of the world."""
    with (
        copied(f"{furnished.database}_house", template=furnished.database) as database,
        serving(world) as gitlab,
        House(folder / "house", database=database, gitlab=gitlab) as ours,
    ):
        yield ours


def has_ended_well(ours: House, furnished: Furnished, *, within_s: float = 60) -> None:
    """The run ends within that time, once, and leaves what an undisturbed one does."""
    wait_until(lambda: ours.state()[0] != "active", seconds=within_s)
    assert ours.state() == ("done", "")
    assert ours.ask("select count(*) from run_ended") == [(1,)]
    assert differing(content(ours.ask), furnished.calm) == {}
