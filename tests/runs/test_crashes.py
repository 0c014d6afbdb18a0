"""A worker dies at any statement, request or file name of any step: whoever comes next makes it whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from django.db import connection
from structlog.testing import capture_logs

from apps.exports import artifacts
from apps.runs.ledger import ATTEMPTS
from apps.runs.models import RunStep
from tests.collector import soaking
from tests.runs.crashes import (
    Doom,
    a_run,
    all_but,
    at_each_commit,
    differing,
    do,
    fingerprint,
    free,
    is_long,
    name_of,
    take_over,
    through,
    undone,
)

pytestmark = pytest.mark.django_db
SEED = 1
FEW = ("discover", "collect 102", "compute 103", "roll_up", "export")
KILLS_IN_A_ROW = ATTEMPTS - 1


class TestAfterEachCommit:
    """Somebody else takes the step over, and all come to what an undisturbed worker does."""

    def disturb(self, step: RunStep, *, patch, are_whole) -> int:
        found: list[tuple[str, dict[str, str], bool]] = []

        def recover(what: str) -> None:
            with undone():
                take_over(step)
                found.append((what, fingerprint(), are_whole()))

        with at_each_commit(recover, patch=patch):
            do(step)
        calm = fingerprint()
        for what, left, whole in found:
            assert differing(left, calm) == set(), f"{name_of(step)} died after: {what}"
            assert whole, f"{name_of(step)} died: {what}"
        return len(found)

    def test_of_a_backfill(self, run, monkeypatch, are_whole):
        told = {"patch": monkeypatch, "are_whole": are_whole}
        assert sum(through(run, partial(self.disturb, **told), but=is_long).values()) > 60

    @pytest.mark.soak
    def test_of_every_step_of_a_backfill_and_of_a_weekly_run(self, run, monkeypatch, are_whole):
        disturb = partial(self.disturb, patch=monkeypatch, are_whole=are_whole)
        counts = through(run, disturb) + through(a_run("weekly"), disturb)
        soaking.keep("crash_after_each_commit", counts)


class TestKilled:
    """The worker dies before a statement, a request or a file name, and someone takes the step over."""

    def kill(self, step: RunStep, *, at: int, patch) -> str:
        with (doom := Doom(at=at)).over(patch):
            do(step)
        return doom.where

    def disturb(self, step: RunStep, *, choose: Callable[[int], Iterable[int]], patch, are_whole) -> int:
        with undone():
            with (doom := Doom()).over(patch):
                do(step)
            calm = fingerprint()
        kills = 0
        for moment in choose(doom.count):
            with undone():
                where = self.kill(step, at=moment, patch=patch)
                take_over(step)
                assert differing(fingerprint(), calm) == set(), f"{name_of(step)} killed before: {where}"
                assert are_whole(), f"{name_of(step)} killed before: {where}"
            kills += 1
        return kills

    def test_at_one_moment_of_some_steps(self, run, monkeypatch, are_whole):
        dice = random.Random(SEED)
        disturb = partial(
            self.disturb,
            choose=lambda count: [dice.randrange(count)],
            patch=monkeypatch,
            are_whole=are_whole,
        )
        assert through(run, disturb, but=all_but(*FEW)) == dict.fromkeys(FEW, 1)

    @pytest.mark.soak
    def test_at_every_moment_of_a_backfill_and_of_a_weekly_run(self, run, monkeypatch, are_whole):
        disturb = partial(self.disturb, choose=range, patch=monkeypatch, are_whole=are_whole)
        counts = through(run, disturb) + through(a_run("weekly"), disturb)
        soaking.keep("crash_at_every_moment", counts)

    @pytest.mark.soak
    @pytest.mark.parametrize("turn", range(3))
    def test_as_often_in_a_row_as_a_step_is_tried(self, run, monkeypatch, are_whole, turn):
        seed = soaking.seed() + turn
        print(f"SOAK_SEED={seed}")
        dice = random.Random(seed)

        def disturb(step: RunStep) -> int:
            with undone():
                with (doom := Doom()).over(monkeypatch):
                    do(step)
                calm = fingerprint()
            for _ in range(KILLS_IN_A_ROW):
                self.kill(step, at=dice.randrange(doom.count), patch=monkeypatch)
                free()
            take_over(step)
            assert differing(fingerprint(), calm) == set(), name_of(step)
            assert are_whole()
            return KILLS_IN_A_ROW

        soaking.keep(f"killed_in_a_row_{turn}", {**through(run, disturb), "seed": seed})


def holds_files() -> bool:
    """Whether we are the sole writer of files."""
    with connection.cursor() as sql:
        sql.execute(
            "select exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() "
            "and (classid::bigint << 32) + objid::bigint = %s)",
            [artifacts._LOCK],
        )
        return sql.fetchone()[0]


class TestOvertaken:
    """A worker stands still past its lease and wakes up when its step is another's, or done."""

    def overtaken(self, step: RunStep, *, number: int, patch) -> tuple[int, int]:
        """Overtaken at the commit of this number: how many there were, and how often it was refused."""
        seen = 0

        def go_past(_: str) -> None:
            nonlocal seen
            if holds_files():
                return  # nobody else gets by
            seen += 1
            if seen == number:
                take_over(step)

        with capture_logs() as said, at_each_commit(go_past, patch=patch):
            do(step)
        return seen, sum(entry["event"] == "claim lost" for entry in said)

    def disturb(self, step: RunStep, *, choose: Callable[[int], Iterable[int]], patch, are_whole) -> int:
        with undone():
            count, _ = self.overtaken(step, number=0, patch=patch)
            calm = fingerprint()
        refused = 0
        for number in choose(count):
            with undone():
                refused += self.overtaken(step, number=number, patch=patch)[1]
                assert differing(fingerprint(), calm) == set(), f"{name_of(step)} at its commit {number}"
                assert are_whole()
        return refused

    def test_is_refused_and_changes_nothing(self, run, monkeypatch, are_whole):
        dice = random.Random(SEED)
        disturb = partial(
            self.disturb,
            choose=lambda count: [dice.randint(1, count // 3)],
            patch=monkeypatch,
            are_whole=are_whole,
        )
        assert through(run, disturb, but=all_but(*FEW)) == dict.fromkeys(FEW, 1)

    @pytest.mark.soak
    def test_at_every_commit(self, run, monkeypatch, are_whole):
        disturb = partial(
            self.disturb,
            choose=lambda count: range(1, count + 1),
            patch=monkeypatch,
            are_whole=are_whole,
        )
        counts = through(run, disturb) + through(a_run("weekly"), disturb)
        soaking.keep("refused_when_overtaken", counts)
