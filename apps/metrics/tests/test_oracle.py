"""Random histories: what is stored is what the plain reading of the definitions says, to the last digit."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from apps.metrics.models import MetricDaily
from apps.metrics.rollup import roll_up
from apps.metrics.tests import builders, oracle
from apps.metrics.tests.test_cases import computed

START = dt.datetime(2025, 10, 18, 22, tzinfo=dt.UTC)  # a local midnight; the clocks change a week later
HISTORY = dt.date(2025, 9, 1)
FIRST, LAST = dt.date(2025, 10, 19), dt.date(2025, 11, 4)
HOMES = {
    1: ("toman/exchange/trading/engine", "Exchange", "Trading"),
    2: ("toman/exchange/custody/vault", "Exchange", "Custody"),
    3: ("toman/core/sre/tools", "Core/Platform", "SRE"),
}
SHAS = st.sampled_from(["a", "b", "c", "d"])
# Half hours often meet local midnights; odd minutes seldom do.
instants = st.one_of(st.integers(0, 48 * 15).map(lambda n: n * 30), st.integers(0, 60 * 24 * 15)).map(
    lambda minutes: START + dt.timedelta(minutes=minutes)
)


@st.composite
def merge_requests(draw: st.DrawFn) -> dict[str, Any]:
    turns = sorted(draw(st.sets(instants, min_size=1, max_size=5)))
    end = draw(st.sampled_from(["merged", "closed", "opened"])) if len(turns) > 1 else "opened"
    if len(turns) % 2:  # openings and endings alternate, and the last turn is the state of now
        end = "opened"
    elif end == "opened":
        end = "closed"
    author = draw(st.sampled_from([builders.AUTHOR, builders.REVIEWER]))
    people = st.sampled_from([builders.AUTHOR, builders.REVIEWER, builders.SECOND])
    said = draw(st.lists(st.tuples(people, instants, st.booleans()), max_size=4, unique_by=lambda a: a[1]))
    return {
        "created": turns[0],
        "timeline": [(at, nth % 2 == 0) for nth, at in enumerate(turns)],
        "merged": turns[-1] if end == "merged" else None,
        "closed": turns[-1] if end == "closed" else None,
        "commits": draw(st.lists(instants, max_size=3)),
        "author": author,
        "approvals": said,
        "required": draw(st.sampled_from([0, 1, 2])),
    }


@st.composite
def pipelines(draw: st.DrawFn) -> dict[str, Any]:
    source = draw(st.sampled_from(["push", "push", "schedule", "merge_request_event", "parent_pipeline"]))
    refs = ["main", "main", "feature", "v1.0.0", "junk"]
    ref = "refs/merge-requests/1/head" if source == "merge_request_event" else draw(st.sampled_from(refs))
    return {
        "status": draw(st.sampled_from(["success", "success", "failed", "canceled"])),
        "source": source,
        "ref": ref,
        "sha": draw(SHAS),
        "created": draw(instants),
        "finished": draw(instants),
    }


tags = st.builds(
    lambda name, sha, committed, released: {
        "name": name,
        "sha": sha,
        "committed": committed,
        "released": released,
    },
    st.sampled_from(["v1.0.0", "1.2", "junk", "2.0.0-rc.1", "vv1.0.0"]),
    SHAS,
    instants,
    st.one_of(st.none(), instants),
)
deployments = st.builds(
    lambda environment, status, finished, pipeline: {
        "environment": environment,
        "status": status,
        "finished": finished,
        "nth": pipeline,
    },
    st.sampled_from(["production", "live", "staging", "prod/eu"]),
    st.sampled_from(["success", "success", "failed"]),
    instants,
    st.one_of(st.none(), st.integers(0, 7)),
)
projects = st.builds(
    lambda mrs, runs, tagged, deployed: {
        "mrs": mrs,
        "pipelines": runs,
        "tags": tagged,
        "deployments": deployed,
    },
    st.lists(merge_requests(), min_size=5, max_size=10),
    st.lists(pipelines(), min_size=3, max_size=10),
    st.lists(tags, max_size=3, unique_by=lambda tag: tag["name"]),
    st.one_of(st.just([]), st.lists(deployments, max_size=4)),
)
rules = st.fixed_dictionaries(
    {
        "infer": st.sampled_from(["best_evidence", "any", "all"]),
        "signals": st.lists(
            st.sampled_from(["environment", "release_tag", "default_branch"]), min_size=1, unique=True
        ),
        "minimum": st.sampled_from([0, 1]),
    }
)


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(st.lists(projects, min_size=3, max_size=3), rules)
def test_stored_values_are_those_of_the_plain_reading(
    found: list[dict[str, Any]], by: dict[str, Any]
) -> None:
    with transaction.atomic():
        told(found, by)
        computed()
        roll_up(first=FIRST, last=LAST, history_from=HISTORY)
        assert stored_values() == expected_values(found, by)
        transaction.set_rollback(True)


def told(found: list[dict[str, Any]], by: dict[str, Any]) -> None:
    """The history as raw rows."""
    production = {"infer": by["infer"], "signals": by["signals"]}
    builders.house(
        rules={"default": {"production": production, "approvals": {"minimum": by["minimum"]}}},
        paths={number: path for number, (path, _, _) in HOMES.items()},
    )
    for number, one in enumerate(found, start=1):
        one["tiers"] = {"live": "production", "staging": "staging"}
        for name, tier in one["tiers"].items():
            builders.environment(name=name, tier=tier, project=number)
        for mr in one["mrs"]:
            told_mr(mr, number)
        for run in one["pipelines"]:
            run["id"] = builders.pipeline(project=number, **{k: v for k, v in run.items() if k != "id"})
        for tag in one["tags"]:
            builders.tag(project=number, **tag)
        for record in one["deployments"]:
            runs, nth = one["pipelines"], record.pop("nth", None)
            record["pipeline"] = runs[nth % len(runs)]["id"] if runs and nth is not None else None
            builders.deployment(project=number, **record)


def told_mr(mr: dict[str, Any], project: int) -> None:
    turns = ("closed" if nth % 2 else "reopened" for nth in range(1, 9))
    between = mr["timeline"][1:-1] if mr["merged"] or mr["closed"] else mr["timeline"][1:]
    number = builders.mr(
        created=mr["created"], merged=mr["merged"], closed=mr["closed"], commits=mr["commits"],
        approvals=f"0 of {mr['required']}", project=project,
        events=[(kind, at) for kind, (at, _) in zip(turns, between, strict=False)],
    )  # fmt: skip
    builders.RawMergeRequest.objects.filter(pk=number).update(author_user_id=mr["author"])
    for actor, at, approved in mr["approvals"]:
        builders.approval(
            number, actor=actor, at=at, kind="approved" if approved else "unapproved", project=project
        )


def expected_values(found: list[dict[str, Any]], by: dict[str, Any]) -> dict[tuple[str, str, dt.date], Any]:
    scopes: dict[str, list[dict[str, Any]]] = {"org": found}
    for one, (path, line, team) in zip(found, HOMES.values(), strict=True):
        for key in (f"business_line:{line}", f"team:{team}", f"repo:{path}"):
            scopes.setdefault(key, []).append(one)
    days = [FIRST + dt.timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    return {
        (scope, key, day): value
        for scope, members in scopes.items()
        for day in days
        for key, value in oracle.values(members, day, by).items()
    }


def stored_values() -> dict[tuple[str, str, dt.date], Any]:
    keys = oracle.values([], FIRST, {"minimum": 0}).keys()
    rows = MetricDaily.objects.filter(metric__in=keys).values_list(
        "scope__key", "metric", "day", "numerator", "denominator", "n"
    )
    return {
        (scope, key, day): (None if numerator is None else Fraction(numerator, denominator), n)
        for scope, key, day, numerator, denominator, n in rows
    }
