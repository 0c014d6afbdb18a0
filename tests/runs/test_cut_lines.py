"""The line to PostgreSQL breaks at any statement: the worker lives, says so, and the step is done again.

A COMMIT that breaks may have been done all the same: what comes after it must not take it for undone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.runs.models import RunStep
from tests.collector import soaking
from tests.runs.crashes import (
    Doom,
    a_run,
    all_but,
    differing,
    do,
    fingerprint,
    name_of,
    take_over,
    through,
    undone,
)

pytestmark = pytest.mark.django_db
SEED = 2
FEW = ("place", "collect 102", "compute 101", "deliver", "check")


class Cut(Doom):
    """Fails one statement, and goes on. Requests and files are none of its business."""

    def pass_by(self, what: str) -> None:
        self.count += 1
        if self.count - 1 == self.at:
            self.where = what
            raise OperationalError("server closed the connection unexpectedly")

    def statement(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not self._open:  # in a worker a statement here stands alone, and there is nothing to roll back
            connection.needs_rollback = False
        return super().statement(execute, sql, params, many, context)

    def around(self, real: Callable[..., Any], what: str) -> Callable[..., Any]:
        return real


def cut(step: RunStep, *, choose: Callable[[int], Iterable[int]], patch, are_whole) -> int:
    """The step with its line cut at these of its statements, each time from where it began."""
    with undone():
        with (calm_line := Cut()).over(patch):
            do(step)
        calm = fingerprint()
    cuts = 0
    for moment in choose(calm_line.count):
        with undone():
            # What breaks in a claim or after the end travels up.
            with suppress(OperationalError), (line := Cut(at=moment)).over(patch):
                do(step)
            connection.needs_rollback = False
            RunStep.objects.update(not_before=None)
            take_over(step)
            assert differing(fingerprint(), calm) == set(), f"{name_of(step)} cut at: {line.where}"
            assert are_whole(), f"{name_of(step)} cut at: {line.where}"
        cuts += 1
    return cuts


def test_at_one_statement_of_some_steps(run, monkeypatch, are_whole):
    dice = random.Random(SEED)
    told = {"choose": lambda count: [dice.randrange(count)], "patch": monkeypatch, "are_whole": are_whole}
    assert through(run, partial(cut, **told), but=all_but(*FEW)) == dict.fromkeys(FEW, 1)


@pytest.mark.soak
def test_at_every_statement_of_a_backfill(run, monkeypatch, are_whole):
    disturb = partial(cut, choose=range, patch=monkeypatch, are_whole=are_whole)
    soaking.keep("cut_lines_of_a_backfill", through(run, disturb))


@pytest.mark.soak
def test_at_every_statement_of_a_weekly_run(run, monkeypatch, are_whole):
    through(run, lambda step: 0)
    disturb = partial(cut, choose=range, patch=monkeypatch, are_whole=are_whole)
    soaking.keep("cut_lines_of_a_weekly_run", through(a_run("weekly"), disturb))
