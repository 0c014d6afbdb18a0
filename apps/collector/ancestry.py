"""Which pushes rewrote history: a head whose history lacks the head before it did.

The commits of the last version, the default branch's graph and one page of history for each chain of heads
that was thrown away settle nearly all of that; what they leave costs a request a pair, once for ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain as chained
from typing import Any, NamedTuple

import msgspec
from django.db import connection

from apps.collector.errors import GitlabRefused
from apps.collector.models import RawCommit
from apps.collector.reading import PER_PAGE, Page, Reading, ahead
from apps.collector.rest import iso

# Heads in the order of their versions; `kept` and `kept_before` say where in the last version's commits (0 is
# the newest) a head stands. A head among those commits descends from any that stands further down. One that
# stands nowhere has left the history of the last version, unless it came back by way of the target branch:
# for the default branch we would know it.
_SETTLE = """
    with pairs as (
        select v.version_id, v.head_sha, v.compared_at, v.mr_id,
               lag(v.head_sha) over w as before, lag(v.version_id) over w as version_before,
               first_value(v.head_sha) over (partition by v.mr_id
                                                 order by v.created_at desc, v.version_id desc) as last_head
          from raw_mr_version v
         where v.project_id = %(project)s
           and v.mr_id in (select mr_id from raw_mr_version
                            where project_id = %(project)s and compared_at is null)
        window w as (partition by v.mr_id order by v.created_at, v.version_id)
    ), known as (
        select p.version_id, p.head_sha, p.before, p.version_before, p.last_head,
               k.position as kept, b.position as kept_before,
               m.target_branch is distinct from d.default_branch
               or exists (select from raw_commit c
                           where c.project_id = %(project)s and c.commit_id = p.before) as may_be_below
          from pairs p
          join raw_mr m using (mr_id)
          join dim_project d on d.project_id = %(project)s
          left join raw_mr_commit k on k.mr_id = p.mr_id and k.commit_id = p.head_sha
          left join raw_mr_commit b on b.mr_id = p.mr_id and b.commit_id = p.before
         where p.compared_at is null
    ), told as (
        select version_id,
               case when version_before is null or before = head_sha then false
                    when head_sha is null or before is null then null
                    when kept_before > kept then false
                    when head_sha = last_head and kept = 0 and kept_before is null and not may_be_below
                        then true
               end as rewrites,
               version_before is not null and (head_sha is null or before is null) as is_lost
          from known
    )
    update raw_mr_version v set rewrites = t.rewrites, compared_at = %(now)s, fetched_at = %(now)s
      from told t
     where v.version_id = t.version_id and (t.rewrites is not null or t.is_lost)
"""
_HEADS = """
    select mr_id, version_id, head_sha, compared_at is null and lag(head_sha) over w is not null as is_open,
           min(created_at) filter (where compared_at is null) over () as since
      from raw_mr_version
     where project_id = %(project)s
       and mr_id in (select mr_id from raw_mr_version where project_id = %(project)s and compared_at is null)
    window w as (partition by mr_id order by created_at, version_id)
     order by mr_id, created_at, version_id
"""

MOST_PAGES = 1_000
AT_ONCE = 2_000
PUSHED_WITHIN = dt.timedelta(days=14)  # of having been committed, as a rule: the filter is on that date

Parents = Mapping[str, list[str]]


class Head(NamedTuple):
    """A version and the commit it ends in."""

    version_id: int
    sha: str


Chain = tuple[Head, ...]
"""Heads in the order of their versions, each of which may or may not descend from the one before."""


class _Commit(msgspec.Struct):
    id: str
    parent_ids: list[str] = []


_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_COMMIT = msgspec.json.Decoder(_Commit)


def _history_in(body: bytes) -> list[_Commit]:
    """The commits of a page that can be read. Raises msgspec.DecodeError where it is no list."""
    found = []
    for row in _ROWS.decode(body):
        with suppress(msgspec.DecodeError):  # what it would have told is asked for in another way
            found.append(_COMMIT.decode(row))
    return found


@dataclass(frozen=True)
class Ancestry:
    """For each version that nothing we know settles, whether it rewrote the one before.

    `commits` and `merge_base` are the addresses of a history and of a common ancestor.
    """

    commits: str
    merge_base: str
    paths: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    once: None = field(default=None, repr=False)

    def pages(self, reading: Reading) -> Iterator[Page]:
        """A page for each chain of heads; a head that GitLab no longer has is answered with null."""
        told: dict[str, Any] = {"project": reading.place.project_id, "now": reading.client.server_time}
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, told)
            cursor.execute(_HEADS, told)
            rows = cursor.fetchall()
        chains = _chains(rows)
        bulk = self._bulk(reading, since=rows[0][4], most=min(len(chains) // 2, MOST_PAGES)) if chains else {}
        on_default = _Landed(reading.place.project_id, bulk)

        def history(chain: Chain) -> Parents:
            tip = chain[-1].sha
            return bulk if tip in bulk else self._history(tip, reading)

        while chains:
            further: list[Chain] = []
            for chain, parents in ahead(history, chains, at_once=4):
                on_default.look_up([*(() if parents is bulk else parents), *(one.sha for one in chain)])
                found, rest = self._judge(chain, parents, on_default, reading)
                further += rest
                given = reading.saw(reading.client.server_time)
                yield Page([(reading.reader.row(row), given) for row in found], given["now"])
            chains = further

    def _bulk(self, reading: Reading, *, since: dt.datetime, most: int) -> Parents:
        """The parents of every commit in the repository since a moment, as far as this many pages tell.

        GitLab keeps heads that were thrown away under hidden refs; one that this list lacks all the same is
        asked for by itself.
        """
        path, found = reading.path(self.commits), dict[str, list[str]]()
        query = {"all": "true", "since": iso(since - PUSHED_WITHIN), "per_page": PER_PAGE}
        for number in range(1, most + 1):
            try:
                answer = reading.client.get(path, query={**query, "page": number}, decode=_history_in)
            except GitlabRefused:
                return found
            found.update((commit.id, commit.parent_ids) for commit in answer.value)
            if not answer.value or answer.following is None:
                break
        return found

    def _history(self, sha: str, reading: Reading) -> Parents:
        query = {"ref_name": sha, "per_page": PER_PAGE}
        try:
            answer = reading.client.get(reading.path(self.commits), query=query, decode=_history_in)
        except GitlabRefused:
            self._see_that_it_is_open(reading)
            return {}  # pruned
        return {commit.id: commit.parent_ids for commit in answer.value}

    def _see_that_it_is_open(self, reading: Reading) -> None:
        """Only a repository that shows itself can have lost a commit; raises GitlabRefused otherwise."""
        reading.client.get(reading.path(self.commits), query={"per_page": 1}, decode=_history_in)

    def _judge(
        self, chain: Chain, parents: Parents, on_default: _Landed, reading: Reading
    ) -> tuple[list[bytes], list[Chain]]:
        """Rows for the pairs that were settled, from the end; and what is left below a rewrite."""
        rows: list[bytes] = []
        for place in range(len(chain) - 1, 0, -1):
            before, head = chain[place - 1], chain[place]
            descends = _descends(head.sha, before.sha, parents, on_default) if head.sha in parents else None
            if descends is None:
                descends = self._by_base(before.sha, head.sha, reading)
            rewrites = None if descends is None else not descends
            rows.append(msgspec.json.encode({"version_id": head.version_id, "rewrites": rewrites}))
            if not descends and place > 1:
                return rows, [chain[:place]]
        return rows, []

    def _by_base(self, before: str, head: str, reading: Reading) -> bool | None:
        path, query = reading.path(self.merge_base), {"refs[]": [before, head]}
        try:
            answer = reading.client.get(path, query=query, decode=msgspec.json.decode)
        except GitlabRefused:
            self._see_that_it_is_open(reading)
            return None  # nobody can know any more
        return isinstance(answer.value, dict) and answer.value.get("id") == before


def _chains(rows: list[tuple[int, int, str, bool, dt.datetime]]) -> list[Chain]:
    """Runs of versions that are to be compared, each with the version before it."""
    found: list[Chain] = []
    run: list[Head] = []
    merge_request = 0
    for mr, version, sha, is_open, _ in rows:
        if mr != merge_request or not is_open:
            found += [tuple(run)] if len(run) > 1 else []
            run, merge_request = [], mr
        run.append(Head(version, sha))
    return found + ([tuple(run)] if len(run) > 1 else [])


class _Landed:
    """Which commits are on the default branch; looked up many at a time."""

    def __init__(self, project_id: int, histories: Parents) -> None:
        self._commits = RawCommit.objects.filter(project_id=project_id)
        self._found: set[str] = set()
        self._known: set[str] = set()
        self.look_up([*histories, *chained.from_iterable(histories.values())])

    def look_up(self, commits: Iterable[str]) -> None:
        """Have these ready."""
        new = [one for one in {*commits} - self._known if "\0" not in one]  # no table holds such a one
        self._known.update(new)
        for start in range(0, len(new), AT_ONCE):
            some = self._commits.filter(commit_id__in=new[start : start + AT_ONCE])
            self._found.update(some.values_list("commit_id", flat=True))

    def __contains__(self, commit: str) -> bool:
        if commit not in self._known:
            self.look_up([commit])
        return commit in self._found


def _descends(head: str, other: str, parents: Parents, on_default: _Landed) -> bool | None:
    """Whether `other` is among the ancestors of `head`; None where the known part of history cannot tell.

    All ancestors of a commit on the default branch are on it too.
    """
    todo, seen, is_whole = [head], {head}, True
    while todo:
        sha = todo.pop()
        if sha == other:
            return True
        if sha in on_default:
            is_whole = is_whole and other not in on_default
        elif sha in parents:
            new = [one for one in parents[sha] if one not in seen]
            seen.update(new)
            todo += new
        else:
            is_whole = False
    return False if is_whole else None
