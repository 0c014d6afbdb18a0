"""Storms over days in which the company works on: what increments gather is what there is in the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from apps.collector import models
from apps.collector.client import Client
from apps.collector.collect import Thoroughness
from apps.collector.errors import GitlabUnavailable
from apps.collector.sweep import sweep
from apps.runs.ledger import Unrecorded
from tests.collector import soaking
from tests.collector.collecting import (
    assert_equal,
    collected,
    collected_from_nothing,
    discovered,
    link_people,
    through,
    written,
)
from tests.collector.line import Asked, Line, Reply, line_to
from tests.collector.strikes import BUSY, DOWN, WRONG, cut, dripping, sometimes, spoiling, truncated
from tests.company.company import GROUPS, SINCE, WEEK, Company, company, content, forget

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.xdist_group("demo company"),
    pytest.mark.usefixtures("no_secret_anywhere"),
]

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def working() -> Iterator[Company]:
    """A company whose clock goes on."""
    with company(projects=3, days=3, **{"--pace": "3"}) as running:
        yield running


def storm(line: Line, seed: int) -> None:
    line.instead = sometimes(*BUSY, *DOWN, *WRONG, share=0.3, seed=seed)
    line.spoil = spoiling(truncated, cut, dripping, share=0.05, seed=seed)


def increment(client: Client, *, again: bool) -> None:
    """A collection after the first: groups are swept, then each project is read, until it is through."""
    discovered(client)
    reread = WEEK if again else dt.timedelta()
    while True:
        try:
            fresh = sweep(client=client, root_groups=GROUPS, step=Unrecorded(), reread=reread, again=again)
            break
        except GitlabUnavailable:
            continue
    how = Thoroughness(fresh=fresh, reread=reread, again=again)
    for project in discovered(client):
        assert through(client, project, since=SINCE, how=how)[0] == ""
    link_people()


def blow(line: Line, seed: int | None) -> None:
    if seed is not None:
        storm(line, seed)


def stormy_days(gitlab: Company, line: Line, client: Client, *, days: int, seed: int | None) -> int:
    """Increments by night and by day, each in a storm (without a seed: none); answers how often it struck."""
    blow(line, seed)
    collected(client)
    for number in range(days):
        for span, again in ((5 * HOUR, False), (19 * HOUR, True)):
            gitlab.later(span)
            blow(line, None if seed is None else seed + 2 * number + again)
            increment(client, again=again)
    return line.struck


def test_what_stormy_increments_gather_is_what_there_is(working, client_to):
    with line_to(working.url) as line:
        client = client_to(line.url)
        assert stormy_days(working, line, client, days=1, seed=1) > 50
        line.calm()
        increment(client, again=True)
        gathered = content()
        assert_equal(collected_from_nothing(client), gathered)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_stormy_weeks(client_to, capfd):
    """What GitLab loses meanwhile is gone from a later collection, so weeks are held against calm weeks."""
    seed = soaking.seed()
    gathered = {}
    for is_stormy in (False, True):
        forget()
        with company(projects=30, days=10) as gitlab, line_to(gitlab.url) as line:
            client = client_to(line.url)
            struck = stormy_days(gitlab, line, client, days=3, seed=seed if is_stormy else None)
            line.calm()
            increment(client, again=True)
            gathered[is_stormy] = content(without={"web_url"})  # the line has another port
    with capfd.disabled():
        print(f"\nstormy days: seed {seed}")
        soaking.keep("stormy_days", {"seed": seed, "struck": struck})
    assert_equal(gathered[False], gathered[True])


def test_a_page_that_comes_late_overwrites_nothing(working, client_to):
    """A cache between us and GitLab answers with yesterday's lists."""
    late: dict[str, Reply] = {}

    def keep(asked: Asked, reply: Reply) -> Reply:
        if b'"updated_at"' in reply.body:
            late[asked.path + asked.address.partition("per_page")[2]] = reply
        return reply

    with line_to(working.url) as line:
        client = client_to(line.url)
        line.spoil = keep
        collected(client)
        working.later(24 * HOUR)
        line.calm()
        increment(client, again=True)
        before = written()
        models.IngestionState.objects.all().delete()
        line.instead = lambda asked: late.get(asked.path + asked.address.partition("per_page")[2])
        collected(client)
        assert line.struck > 5
        after = written()
        for name in ("RawMergeRequest", "RawPipeline", "RawIssue", "RawDeployment"):
            assert after[name] == before[name], name
