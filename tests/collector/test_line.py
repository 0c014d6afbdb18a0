"""A bad night over the company: after any fault the rows are those of a calm collection, byte for byte."""

from __future__ import annotations

import random

import pytest

from tests.collector.collecting import assert_equal, collected_from_nothing
from tests.collector.strikes import (
    BUSY,
    DOWN,
    WRONG,
    cut,
    dripping,
    failing_in_part,
    sometimes,
    spoiling,
    truncated,
    with_null_nodes,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.xdist_group("demo company"),
    pytest.mark.usefixtures("no_secret_anywhere"),
]

STRIKES = {
    "429": {"instead": (BUSY, 0.3)},
    "5xx": {"instead": (DOWN, 0.3)},
    "wrong": {"instead": (WRONG, 0.3)},
    "broken": {"spoil": ((truncated, cut, dripping), 0.4)},
    "all": {"instead": ((*BUSY, *DOWN, *WRONG), 0.3), "spoil": ((truncated, cut, dripping), 0.1)},
}


IN_SHORT = ("429", "all")  # the others are among the faults of the last


@pytest.mark.parametrize(
    "kind", [kind if kind in IN_SHORT else pytest.param(kind, marks=pytest.mark.soak) for kind in STRIKES]
)
def test_no_fault_on_the_line_changes_a_row(line, calm, client_to, kind):
    seed = 1
    for name, (ways, share) in STRIKES[kind].items():
        make = sometimes if name == "instead" else spoiling
        setattr(line, name, make(*ways, share=share, seed=seed))
    found = collected_from_nothing(client_to(line.url))
    assert line.struck > len(line.asked) / 12
    assert_equal(calm, found)


def is_graphql(asked):
    return asked.is_graphql


TRANSIENT = ("Internal server error", "Timeout on MergeRequest.notes", "Something is too slow, try again")


def test_an_error_beside_a_graphql_answer_is_asked_again(line, calm, client_to):
    ways = [failing_in_part(message) for message in TRANSIENT]
    line.spoil = spoiling(*ways, share=0.2, seed=1, only=is_graphql)
    found = collected_from_nothing(client_to(line.url))
    assert line.struck
    assert_equal(calm, found)


def test_a_node_that_comes_as_null_is_not_lost(line, calm, client_to):
    nulls = with_null_nodes(random.Random(1), share=0.1)
    line.spoil = spoiling(nulls, share=0.3, seed=1, only=is_graphql)
    found = collected_from_nothing(client_to(line.url))
    assert line.struck
    assert_equal(calm, found)
