"""A worker that dies at a chosen moment, in this process: over one connection, in one transaction.

Here a savepoint is what a commit is elsewhere: whoever dies leaves what it had released, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db import connection, transaction

from apps.runs import reconcile as keeper
from apps.runs.ledger import LEASE
from apps.runs.models import Run, RunStep
from tem import clock, pipeline

OURS = ("id", "fetched_at", "observed_at", "scope_id", "run_id", "written_at", "sha256", "rules_version")
STORED = ("raw_", "dim_", "fact_", "link_")
READS = ("SELECT", "SHOW", "SAVEPOINT", "ROLLBACK")

_HASH = "select {name!r}, md5(coalesce(string_agg(row, '' order by row), '')) from ({rows}) one(row)"
_ROW = "select (to_jsonb(t){without})::text from {name} t"
_MORE = {
    "values": "select row(s.key, m.metric, m.window, m.day, m.value, m.n, m.reason)::text "
    "from metric_daily m join metric_scope s on s.id = scope_id",
    "files": "select row(day, format, version, content_sha256)::text from artifact",
    "steps": "select row(phase, project_id, state, cursor - 'began')::text from run_step",
    "runs": "select row(kind, slot, state, phase, reason)::text from run",
    "ends": "select row(run_id)::text from run_ended",
}
COUNT_ENDS = """
create table run_ended (run_id bigint);
create function note_end() returns trigger language plpgsql as $$
begin insert into run_ended values (new.id); return null; end $$;
create trigger note_end after update on run for each row
  when (old.state = 'active' and new.state <> 'active') execute function note_end();
"""
"""A second end of a run would be a second row, whoever brought it about."""


LONG, ONE = "collect", 102  # the longest step; of three projects, that one's is enough for `make test`

Disturb = Callable[[RunStep], int]
"""Does a step with trouble, answers how often there was some; the step may be done afterwards or not."""


def fingerprint() -> dict[str, str]:
    """By table a hash of its rows without the columns that say when and by whom they were written."""
    with connection.cursor() as sql:
        sql.execute("select tablename from pg_tables where schemaname = 'public'")
        tables = [name for (name,) in sql.fetchall() if name.startswith(STORED)]
        without = "".join(f" - '{column}'" for column in OURS)
        rows = {name: _ROW.format(name=name, without=without) for name in tables} | _MORE
        sql.execute(" union all ".join(_HASH.format(name=name, rows=text) for name, text in rows.items()))
        return dict(sql.fetchall())


def differing(here: dict[str, str], there: dict[str, str]) -> set[str]:
    """The tables whose rows are not the same."""
    return {name for name in here | there if here.get(name) != there.get(name)}


def do(step: RunStep) -> None:
    """What a worker does that was told of the step."""
    pipeline.DOORS[step.phase].task(run_id=step.run_id, step_id=step.pk)


def free() -> None:
    """The lease of whoever held a step has run out, and the reconciler has seen it."""
    keeper.reconcile(plans=pipeline.PLANS, now=clock.now() + 2 * LEASE)


def take_over(step: RunStep) -> None:
    """What the others do then."""
    free()
    do(step)


def next_step(run: Run) -> RunStep | None:
    """The next one that may be done."""
    return RunStep.objects.filter(run=run, state="pending").order_by("id").first()


def a_run(kind: str, **asked: int) -> Run:
    """A run, opened; with a backfill, the first, ends begin to be counted."""
    if kind == "backfill":
        with connection.cursor() as sql:
            sql.execute(COUNT_ENDS)
    return pipeline.start(kind, slot=f"crashes of a {kind}", now=clock.now(), **asked)


def name_of(step: RunStep) -> str:
    """The phase, and the project if it is of one."""
    return f"{step.phase} {step.project_id or ''}".strip()


def through(
    run: Run, disturb: Disturb, *, but: Callable[[RunStep], bool] = lambda step: False
) -> Counter[str]:
    """The whole run, each step `but` those with trouble; how often there was some, by step."""
    counts: Counter[str] = Counter()
    while step := next_step(run):
        if not but(step):
            counts[name_of(step)] += disturb(step)
        if next_step(run) == step:
            do(step)
    run.refresh_from_db()
    assert (run.state, run.reason) == ("done", "")
    return counts


def is_long(step: RunStep) -> bool:
    """Whether `make test` leaves it alone."""
    return step.phase == LONG and step.project_id != ONE


def all_but(*few: str) -> Callable[[RunStep], bool]:
    """Whether a step is none of these, by name."""
    return lambda step: name_of(step) not in few


@contextmanager
def undone() -> Iterator[None]:
    """What the block does to rows and to files is undone."""
    exports, mark = Path(settings.TEM_EXPORT_DIR), transaction.savepoint()
    with tempfile.TemporaryDirectory() as aside:
        if exports.exists():
            shutil.copytree(exports, aside, dirs_exist_ok=True)
        try:
            yield
        finally:
            transaction.savepoint_rollback(mark)
            transaction.savepoint_commit(mark)
            shutil.rmtree(exports, ignore_errors=True)
            shutil.copytree(aside, exports)


Then = Callable[[str], None]


@contextmanager
def at_each_commit(then: Then, *, patch: Any) -> Iterator[None]:
    """Call `then` each time that rows have become durable, and before and after a file gets its name.

    `then` is told what it was. The state is what a worker would leave that dies there, or dies anywhere
    before the next such moment. `patch` is pytest's monkeypatch.
    """
    base, asleep = len(connection.savepoint_ids), []

    def tell(what: str) -> None:
        if not asleep and len(connection.savepoint_ids) == base:
            asleep.append(what)
            then(what)
            asleep.clear()

    def watched(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if not str(sql).lstrip().upper().startswith(READS):
            tell(" ".join(str(sql).split())[:60])
        return answer

    def naming(real: Callable[..., None]) -> Callable[..., None]:
        def named(*paths: Any) -> None:
            tell(f"before {real.__name__}")
            real(*paths)
            tell(f"after {real.__name__}")

        return named

    with patch.context() as patched, connection.execute_wrapper(watched):
        patched.setattr(os, "link", naming(os.link))
        patched.setattr(os, "replace", naming(os.replace))
        yield


class Killed(BaseException):
    """The process is no more. Nothing of ours may catch it."""


class Doom:
    """Counts a step's statements, requests and file names; kills it before one of them.

    What others see after one is what they see before the next, and after the last the step is done.
    Once dead it does nothing any more: whatever its `finally` clauses try is refused.
    """

    def __init__(self, *, at: int = -1) -> None:
        self.at, self.count, self.is_dead, self.where = at, 0, False, ""
        self._open: list[str] = []  # savepoints

    def pass_by(self, what: str) -> None:
        if self.count == self.at:
            self.is_dead, self.where = True, what
        self.count += 1
        if self.is_dead:
            raise Killed(self.where)

    def around(self, real: Callable[..., Any], what: str) -> Callable[..., Any]:
        def passing(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(what)
            return real(*args, **kwargs)

        return passing

    def statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        words = " ".join(str(sql).split())
        self.pass_by(words[:60])
        answer = execute(sql, params, many, context)
        if words.startswith("SAVEPOINT "):
            self._open.append(words.split()[-1])
        elif words.startswith("RELEASE "):
            del self._open[self._open.index(words.split()[-1]) :]
        return answer

    @contextmanager
    def over(self, patch: Any) -> Iterator[None]:
        """For the length of the block; Killed ends it quietly. `patch` is pytest's monkeypatch."""
        send = requests.adapters.HTTPAdapter.send
        try:
            with patch.context() as patched, connection.execute_wrapper(self.statement):
                patched.setattr(requests.adapters.HTTPAdapter, "send", self.around(send, "a request"))
                for name in ("link", "replace", "unlink"):
                    patched.setattr(os, name, self.around(getattr(os, name), name))
                yield
        except Killed:
            self._cut_line()

    def _cut_line(self) -> None:
        """What the server does when the one who asked is gone."""
        connection.needs_rollback = False
        with connection.cursor() as sql:
            if self._open:
                sql.execute(f"rollback to savepoint {self._open[0]}")
            sql.execute("select pg_advisory_unlock_all()")
