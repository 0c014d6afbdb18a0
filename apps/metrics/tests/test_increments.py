"""Whatever changed, and however projects are batched: the facts are those of a rebuild from nothing."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import psycopg
import pytest
from django.db import connection, transaction

from apps.collector.models import RawPipeline
from apps.metrics.batches import batches
from apps.metrics.difference import Difference
from apps.metrics.facts import build, build_all, build_aside
from apps.metrics.models import FactPipeline, PlacedProject
from apps.metrics.placement import place_all
from apps.metrics.rollup import roll_up
from apps.metrics.tests import builders, changing
from apps.metrics.tests.test_facts import BUILT, Content, content
from apps.orgmap.place import OrgMap
from tem import clock

SEED = 20251123


def paths(count: int) -> dict[int, str]:
    return {number: f"toman/group/repo-{number}" for number in range(1, count + 1)}


def rebuilt() -> Content:
    """The facts as one rebuild of everything makes them, where none stand; then all is as before."""
    with transaction.atomic():
        for model in BUILT:
            model._default_manager.all().delete()
        build_all(PlacedProject.objects.values_list("pk", flat=True))
        found = content()
        transaction.set_rollback(True)
    return found


def increments(
    dice: Random, *, projects: int, rounds: int
) -> Iterator[tuple[Content, dict[int, Difference]]]:
    """Histories that grow, one a project; the facts before each increment, and what its builds answered."""
    builders.house(paths=paths(projects))
    for number in range(rounds):
        touched = dice.sample(range(1, projects + 1), k=projects // 2)
        if number % 2 == 0:  # from the start: only rules change then, and not where projects stand
            changing.other_rules(dice, paths=paths(projects).values(), now=changing.START)
            place_all(org=OrgMap.load())
            touched = list(range(1, projects + 1))
        for project in touched:
            changing.change(dice, project, times=12 if number == 0 else 2)
        before, answered = content(), {}
        for batch in batches(touched, largest=dice.choice([1_000, 60])):
            answered |= build_all(batch)
        yield before, answered


def days_of(before: Content, after: Content, project: int) -> set[dt.date]:
    """The first and last local day of each row of a project that came, went or changed."""
    found = set()
    for model in BUILT:
        name, columns = (
            model._meta.db_table,
            [f.attname for f in model._meta.concrete_fields if f.attname != "id"],
        )
        owner = columns.index("project_id")
        for row in set(map(repr, before[name])) ^ set(map(repr, after[name])):
            values = next(r for r in (*before[name], *after[name]) if repr(r) == row)
            if values[owner] == project:
                times = [
                    clock.day_of(v) if isinstance(v, dt.datetime) else v
                    for v in values
                    if isinstance(v, dt.date)
                ]
                found |= {min(times), max(times)} if times else set()
    return found


def check_increments(seed: int, *, projects: int, rounds: int) -> None:
    """After every increment the facts are those of a rebuild, and exactly its days were answered."""
    for before, answered in increments(Random(seed), projects=projects, rounds=rounds):
        after = content()
        assert after == rebuilt(), f"seed {seed}"
        assert not any(again.rows for again in build_all(answered).values())
        for project, difference in answered.items():
            days = days_of(before, after, project)
            assert {min(difference.days, default=None), max(difference.days, default=None)} == {
                min(days, default=None), max(days, default=None)
            }, f"seed {seed}, project {project}"  # fmt: skip


@pytest.mark.django_db
def test_after_every_increment_the_facts_are_those_of_a_rebuild_from_nothing() -> None:
    check_increments(SEED, projects=20, rounds=3)


@pytest.mark.django_db
def test_rolling_up_from_the_first_touched_day_is_as_good_as_rolling_up_everything() -> None:
    """An increment must not forget a day."""
    first, last = dt.date(2025, 10, 19), dt.date(2025, 11, 9)
    history_from = first - dt.timedelta(days=90)
    for nth, (_, answered) in enumerate(increments(Random(SEED + 1), projects=4, rounds=4)):
        days = {day for difference in answered.values() for day in difference.days}
        since = max(first, min(days)) if nth else first
        assert roll_up(first=since, last=last, history_from=history_from)
        assert roll_up(first=first, last=last, history_from=history_from) == 0


@pytest.mark.soak
@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(SEED + 1, SEED + 21))
def test_after_every_increment_of_long_histories_too(seed: int) -> None:
    check_increments(seed, projects=100, rounds=8)


@pytest.mark.django_db
def test_facts_built_aside_are_those_that_a_build_writes_and_write_nothing() -> None:
    dice = Random(SEED)
    builders.house(paths=paths(12))
    place_all(org=OrgMap.load())
    for project in paths(12):
        changing.change(dice, project, times=8)
    with transaction.atomic():
        build_aside(paths(12))
        aside = content()
        transaction.set_rollback(True)
    assert not FactPipeline.objects.exists()
    build_all(paths(12))
    assert aside == content()
    assert any(aside.values())


def test_batches_hold_every_project_once_and_are_of_like_size(db: None) -> None:
    builders.house(paths=paths(9))
    for project in (1, 1, 1, 1, 2, 2):
        builders.pipeline(created="2025-09-02 10:00", project=project)
    made = batches(paths(9), largest=60)
    assert sorted(project for batch in made for project in batch) == list(paths(9))
    assert len(made) == 4
    assert max(map(len, made)) <= 3
    assert batches([], largest=60) == []


@contextmanager
def reading() -> Iterator[list[tuple[int, ...]]]:
    """What somebody sees who keeps reading, each time in one snapshot: pipelines by status, deployments."""
    seen: list[tuple[int, ...]] = []
    begun, over = threading.Event(), threading.Event()
    known = connection.get_connection_params()
    told = {name: known[name] for name in ("dbname", "user", "password", "host", "port") if name in known}

    def read() -> None:
        with psycopg.connect(**told) as other:
            other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not over.is_set():
                with other.transaction():
                    row = other.execute(
                        "select count(*), count(*) filter (where status = 'success') from fact_pipeline"
                    ).fetchone()
                    more = other.execute("select count(*) from fact_deployment").fetchone()
                assert row and more
                seen.append((*row, *more))
                begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert begun.wait(10)
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_no_reader_ever_sees_an_empty_or_a_half_table() -> None:
    builders.house()
    for nth in range(20):
        builders.pipeline(created="2025-09-02 10:00", sha=f"c{nth}")
    place_all(org=OrgMap.load())
    build(1)
    with reading() as seen:
        for nth in range(6):
            RawPipeline.objects.update(status="failed" if nth % 2 == 0 else "success")
            build(1)
    assert set(seen) == {(20, 20, 20), (20, 0, 0)}
