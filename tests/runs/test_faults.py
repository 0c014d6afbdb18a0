"""Real workers, and all that can fail around them: the run ends once, with an undisturbed run's rows."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from django.db import connection
from django.test import override_settings

from tem import clock, pipeline
from tests.acceptance.plain_gitlab import TOKEN, serving
from tests.acceptance.running import queues_of_our_own
from tests.runs.gate import a_world, drain, wait_until
from tests.runs.house import HASH_KEY, Gates, House, address_of, furnish, over
from tests.runs.test_kill import content, differing

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("faults")]
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


def asking(address: str):
    def ask(question: str) -> list[tuple]:
        with closing(psycopg.connect(address, autocommit=True)) as link:
            return link.execute(question).fetchall()

    return ask


@pytest.fixture(scope="module")
def furnished(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Furnished]:
    ours, folder = connection.settings_dict["NAME"], tmp_path_factory.mktemp("calm")
    world = a_world(clock.midnight(clock.day_of(clock.now()) - dt.timedelta(days=1)))
    name = f"{ours}_faults_{os.getpid()}"
    with django_db_blocker.unblock():
        connection.close()
        with copied(name, template=ours):
            with over(name):
                furnish(folder / "org.yaml")
            with (
                copied(f"{name}_calm", template=name) as calm,
                over(f"{name}_calm"),
                serving(world) as address,
            ):
                told = {"GITLAB_URL": address, "GITLAB_TOKEN": TOKEN, "TEM_EXPORT_DIR": folder / "exports"}
                with override_settings(TEM_EMAIL_HASH_KEY=HASH_KEY, **told), queues_of_our_own():
                    run = drain(pipeline.start("backfill", slot="calm", now=clock.now(), days=DAYS))
                connection.close()
                assert run.state == "done", run.reason
                found = content(asking(calm))
            yield Furnished(name, world, run.parameters, found)


@contextmanager
def house(furnished: Furnished, world: dict, folder: Path) -> Iterator[House]:
    with (
        copied(f"{furnished.database}_house", template=furnished.database) as database,
        serving(world) as gitlab,
        House(folder / "house", database=database, gitlab=gitlab) as ours,
    ):
        yield ours


def has_ended_well(ours: House, furnished: Furnished) -> None:
    wait_until(lambda: ours.state()[0] != "active", seconds=60)
    assert ours.state() == ("done", "")
    assert ours.ask("select count(*) from run_ended") == [(1,)]
    assert differing(content(ours.ask), furnished.calm) == {}


def test_a_run_gets_over_everything_that_can_fail_around_it(furnished, tmp_path):
    discovery = "/groups/toman/core/projects"
    engine, checkout, shop = (f"/projects/{number}/merge_requests" for number in (101, 102, 103))
    world = Gates(furnished.world, discovery, engine, checkout, shop, shop)
    with house(furnished, world, tmp_path) as ours:
        ours.open_run(furnished.parameters)
        ours.worker(app="tests.runs.hasty")

        world.wait_for(discovery)
        with ours.database_away():
            world.open(discovery)

        world.wait_for(engine)
        world.wait_for(checkout)
        ours.kill_broker(with_its_file=True)  # with the hint for the third project
        ours.start_broker()
        world.open(engine)
        world.open(checkout)

        world.wait_for(shop)
        zombie = ours.holder(103)
        os.kill(zombie, signal.SIGSTOP)
        ours.run_out(103)

        world.wait_for(shop, nth=2)
        ours.flush_broker()
        os.kill(ours.holder(103), signal.SIGKILL)
        world.open(shop, nth=2)

        wait_until(lambda: ours.step(103)[0] == "done")
        os.kill(zombie, signal.SIGCONT)
        world.open(shop)
        wait_until(lambda: "claim lost" in ours.said())
        has_ended_well(ours, furnished)
