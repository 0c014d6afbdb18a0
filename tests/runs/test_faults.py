"""Real workers, and all that can fail around them: the run ends once, with an undisturbed run's rows."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.collector import soaking
from tests.runs.furnished import Furnished, furnishing, has_ended_well, house
from tests.runs.gate import wait_until
from tests.runs.half_open import proxied
from tests.runs.house import Gates

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("faults")]
SHOP = "/projects/103/merge_requests"


def took_s(is_so: Callable[[], bool], *, within_s: float) -> int:
    """Whole seconds until it was so, at most so many."""
    began = time.monotonic()
    wait_until(is_so, seconds=within_s)
    took = round(time.monotonic() - began)
    assert took <= within_s
    return took


@pytest.fixture(scope="module")
def furnished(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Furnished]:
    with django_db_blocker.unblock(), furnishing(tmp_path_factory.mktemp("calm")) as found:
        yield found


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


class TestBars:
    """With the patience of the real product."""

    pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

    def test_a_broker_whose_lines_are_half_open_is_met_again_within_90_s(self, furnished, tmp_path):
        world = Gates(furnished.world, SHOP)
        with house(furnished, world, tmp_path) as ours, proxied(ours.broker.port) as line:
            ours.redis_url = ours.broker.url.replace(f":{ours.broker.port}/", f":{line.port}/")
            ours.open_run(furnished.parameters)
            ours.worker()
            world.wait_for(SHOP)
            assert line.freeze() > 0
            claims = ours.claims()
            world.open(SHOP)
            told = took_s(lambda: ours.claims() > claims, within_s=90)
            has_ended_well(ours, furnished, within_s=120)
        soaking.keep("half_open_lines", {"seconds_to_next_claim": told})

    def test_a_broker_that_was_away_for_30_s_costs_one_reconcile_more(self, furnished, tmp_path):
        world = Gates(furnished.world, SHOP)
        with house(furnished, world, tmp_path) as ours:
            ours.open_run(furnished.parameters)
            ours.worker()
            world.wait_for(SHOP)
            ours.kill_broker(with_its_file=True)
            world.open(SHOP)
            threading.Event().wait(30)
            claims = ours.claims()
            ours.start_broker()
            told = took_s(lambda: ours.claims() > claims, within_s=60)
            has_ended_well(ours, furnished, within_s=120)
        soaking.keep("broker_away", {"seconds_to_next_claim": told})

    def test_a_worker_asked_to_end_gives_its_step_to_the_next_within_90_s(self, furnished, tmp_path):
        world = Gates(furnished.world, SHOP)
        with house(furnished, world, tmp_path) as ours:
            ours.open_run(furnished.parameters)
            leaving = ours.worker()
            world.wait_for(SHOP)
            fence = ours.step(103)[1]
            ours.worker()
            leaving.send_signal(signal.SIGTERM)
            told = took_s(lambda: ours.step(103)[1] > fence, within_s=90)
            world.open(SHOP)
            leaving.wait(timeout=60)
            has_ended_well(ours, furnished, within_s=120)
        soaking.keep("asked_to_end", {"seconds_to_next_claim": told})

    def test_a_worker_killed_with_all_its_children_is_stood_in_for_within_90_s(self, furnished, tmp_path):
        world = Gates(furnished.world, SHOP)
        with house(furnished, world, tmp_path) as ours:
            ours.open_run(furnished.parameters)
            dying = ours.worker()
            world.wait_for(SHOP)
            fence = ours.step(103)[1]
            ours.worker()
            dying.kill()
            told = took_s(lambda: ours.step(103)[1] > fence, within_s=90)
            world.open(SHOP)
            has_ended_well(ours, furnished, within_s=120)
        soaking.keep("killed_worker", {"seconds_to_next_claim": told})

    def test_a_child_that_stands_still_past_its_lease_is_refused(self, furnished, tmp_path):
        world = Gates(furnished.world, SHOP)
        with house(furnished, world, tmp_path) as ours:
            ours.open_run(furnished.parameters)
            ours.worker()
            world.wait_for(SHOP)
            zombie, fence = ours.holder(103), ours.step(103)[1]
            os.kill(zombie, signal.SIGSTOP)
            told = took_s(lambda: ours.step(103)[1] > fence, within_s=90)
            wait_until(lambda: ours.step(103)[0] == "done")
            os.kill(zombie, signal.SIGCONT)
            world.open(SHOP)
            wait_until(lambda: "claim lost" in ours.said())
            has_ended_well(ours, furnished, within_s=120)
        soaking.keep("stood_still", {"seconds_to_next_claim": told})
