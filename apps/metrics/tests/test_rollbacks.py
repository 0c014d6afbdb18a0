"""Which deployments are rollbacks, and of what."""

from __future__ import annotations

import datetime as dt

from apps.metrics.rollbacks import Deployment, Revert, rollbacks

START = dt.datetime(2025, 9, 4, 8, tzinfo=dt.UTC)
A_DAY = dt.timedelta(hours=24)


def deployed(
    key: str, hours: float, position: int | None, *, where: str | None = None, tagged: bool = False
) -> Deployment:
    return Deployment(key, START + dt.timedelta(hours=hours), int(key), where, position, tagged)


def found(*deployments: Deployment, reverts: tuple[Revert, ...] = ()) -> dict[str, tuple[str, str | None]]:
    marked = rollbacks(deployments, reverts, within=A_DAY)
    return {key: (one.signal, one.undoes.key if one.undoes else None) for key, one in marked.items()}


def test_an_older_commit_within_a_day_undoes_the_deployment_before() -> None:
    assert found(deployed("1", 0, 5), deployed("2", 1, 7), deployed("3", 2, 5)) == {"3": ("older", "2")}


def test_the_rule_s_hours_are_included_and_no_more() -> None:
    assert found(deployed("1", 0, 7), deployed("2", 24, 5)) == {"2": ("older", "1")}
    assert found(deployed("1", 0, 7), deployed("2", 24.001, 5)) == {}


def test_the_same_commit_again_and_a_newer_one_are_none() -> None:
    assert found(deployed("1", 0, 7), deployed("2", 1, 7), deployed("3", 2, 8)) == {}


def test_a_commit_without_a_position_is_neither_older_nor_newer() -> None:
    assert found(deployed("1", 0, 7), deployed("2", 1, None), deployed("3", 2, 6)) == {}


def test_each_environment_is_a_line_of_its_own() -> None:
    assert found(deployed("1", 0, 7, where="eu"), deployed("2", 1, 5, where="us")) == {}


def test_what_calls_itself_a_rollback_is_one_even_if_it_undoes_nothing_known() -> None:
    assert found(deployed("1", 0, 7, tagged=True), deployed("2", 100, 8, tagged=True)) == {
        "1": ("tagged", None),
        "2": ("tagged", "1"),
    }


def test_a_revert_of_what_was_just_deployed_is_a_rollback() -> None:
    line = (deployed("1", 0, 5), deployed("2", 1, 7), deployed("3", 2, 9))
    assert found(*line, reverts=(Revert(position=8, reverted=6),)) == {"3": ("reverted", "2")}
    assert found(*line, reverts=(Revert(position=8, reverted=5),)) == {}  # came with an earlier deployment
    assert found(*line, reverts=(Revert(position=10, reverted=6),)) == {}  # is not deployed yet
    assert found(*line, reverts=(Revert(position=7, reverted=6),)) == {}  # came and went in one deployment


def test_a_revert_after_the_first_deployment_undoes_all_that_it_brought() -> None:
    assert found(deployed("1", 0, 7), deployed("2", 1, 9), reverts=(Revert(8, 1),)) == {
        "2": ("reverted", "1")
    }


def test_deployments_at_one_instant_stand_in_the_order_of_their_pipelines() -> None:
    assert found(deployed("12", 0, 5), deployed("9", 0, 7)) == {"12": ("older", "9")}
