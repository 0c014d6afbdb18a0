"""The request budget: what all workers together may ask, with Redis and without it."""

from __future__ import annotations

import random
import threading
import time
import uuid
from bisect import bisect_left

import pytest
import redis
from django.conf import settings

from apps.collector.budget import Budget
from apps.collector.errors import GitlabUnavailable
from apps.collector.limits import GENERAL, limits_of
from apps.collector.local_budget import LocalBudget
from apps.collector.shared_budget import FAILURES, PAUSE_S, SharedBudget
from apps.collector.tests.conftest import TOKEN
from apps.collector.tests.server import NOW, Reply, answer
from apps.collector.tests.test_client import get

USERS = limits_of("/users/7")
NOBODY = "redis://127.0.0.1:9/0"


@pytest.fixture
def shared() -> SharedBudget:
    return SharedBudget(settings.TEM_REDIS_URL, key=f"{settings.TEM_REDIS_PREFIX}test:{uuid.uuid4()}")


def granted(reserve, *, seconds: float, workers: int, seed: int) -> list[float]:
    """When requests leave if so many workers ask as fast as they may; each takes a while, some of it long."""
    rng = random.Random(seed)
    free_at, times = [0.0] * workers, []
    while (now := min(free_at)) < seconds:
        slot = reserve(now=1000 + now)
        worker = free_at.index(now)
        times.append(now + slot.wait_s)
        free_at[worker] = times[-1] + rng.choice([0.002, 0.01, 0.05, 0.05, 1.0])
    return sorted(times)


def fullest(times: list[float], *, window_s: float = 60.0) -> int:
    """The most that lie in any window."""
    return max(bisect_left(times, start + window_s) - place for place, start in enumerate(times))


@pytest.mark.parametrize(("limit", "workers"), [(600, 16), (60, 3), (2000, 64)])
def test_no_window_holds_more_than_the_limit_and_none_is_wasted(shared, limit, workers):
    shared.told(GENERAL, limit, now=1000)

    def reserve(now: float):
        return shared.reserve((GENERAL,), patience_s=45, now=now)

    seconds = min(150, 60 + 60_000 / limit)
    times = [at for at in granted(reserve, seconds=seconds, workers=workers, seed=limit) if at < seconds]
    assert fullest(times) <= limit
    assert len(times) >= 0.95 * limit * seconds / 60


def test_a_rest_is_no_reason_to_break_a_limit_of_ten_minutes(shared):
    def reserve(now: float):
        return shared.reserve(USERS, patience_s=1000, now=now)

    times = granted(reserve, seconds=700, workers=4, seed=1)
    assert times[100] < 60, "after a rest a third may leave at once"
    assert fullest(times, window_s=600) <= 300


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/projects/7/jobs", "jobs"),
        ("/projects/toman%2Fengine", "project"),
        ("/projects", "projects"),
        ("/groups/toman/projects", "group projects"),
        ("/users/9", "user"),
        ("/projects/7/pipelines/9/jobs", "general"),
        ("/user", "general"),
        ("", "general"),
    ],
)
def test_a_path_falls_under_the_narrowest_limit_and_the_general_one(path, name):
    assert limits_of(path)[0] is GENERAL
    assert limits_of(path)[-1].name == name


def test_a_narrow_limit_leaves_the_rest_alone(shared):
    shared.hold(USERS[-1], 60, now=1000)
    assert shared.reserve(USERS, patience_s=5, now=1001).refusal == "late"
    assert shared.reserve((GENERAL,), patience_s=5, now=1001).wait_s == 0


@pytest.mark.parametrize("kind", ["shared", "local"])
def test_what_left_before_the_limit_was_known_counts(shared, kind):
    budget = shared if kind == "shared" else LocalBudget(shares=1)
    times = [budget.reserve((GENERAL,), patience_s=0, now=1000).wait_s for _ in range(100)]
    budget.told(GENERAL, 600, now=1000)
    times += [budget.reserve((GENERAL,), patience_s=500, now=1000).wait_s for _ in range(700)]
    assert max(times[:100]) == 0
    assert fullest(sorted(times)) <= 600


def test_a_wait_beyond_patience_takes_no_turn(shared):
    shared.told(GENERAL, 60, now=1000)
    waits = [shared.reserve((GENERAL,), patience_s=3, now=1000) for _ in range(50)]
    assert {slot.refusal for slot in waits} == {"", "late"}
    late = [slot.wait_s for slot in waits if slot.refusal]
    assert max(late) == min(late) < 6


def test_what_one_process_learns_all_know(budget_of):
    one = budget_of(window_s=60)
    other = Budget(key=one._shared._keys[0].strip("{}"), redis_url=settings.TEM_REDIS_URL, parallelism=1)
    one.refused("/projects/7/jobs", {"Retry-After": "30", "RateLimit-Remaining": "5"}, now=NOW)
    assert other.turn("/version", patience_s=1).refusal == "late"
    assert other.standing().refusals == 1
    assert 25 < other.standing().paused_s <= 30


def test_a_limit_without_headers_pauses_only_what_it_is_for(budget_of):
    budget = budget_of(window_s=60)
    budget.refused("/projects/7/jobs", {}, now=NOW)
    assert budget.turn("/projects/7/jobs", patience_s=1).wait_s == pytest.approx(60, abs=1)
    assert not budget.turn("/version", patience_s=1).refusal


def test_little_left_before_the_reset_is_left_to_others(budget_of):
    budget = budget_of(window_s=60)
    told = {"RateLimit-Limit": "600", "RateLimit-Reset": str(NOW.timestamp() + 20)}
    budget.learn({**told, "RateLimit-Remaining": "100"}, now=NOW)
    assert not budget.turn("/version", patience_s=1).refusal
    budget.learn({**told, "RateLimit-Remaining": "3"}, now=NOW)
    assert budget.turn("/version", patience_s=1).wait_s == pytest.approx(20, abs=1)
    assert budget.standing().limit == 600


def test_a_server_that_refuses_blindly_is_asked_no_faster_than_it_bore(shared):
    for number in range(100):
        shared.reserve((GENERAL,), patience_s=0, now=1000 + number * 0.3)
    shared.refused(GENERAL, 60, blind=True, now=1030)
    pace = [shared.standing(GENERAL, now=1030 + minutes * 60)["limit"] for minutes in (1, 8, 30, 61)]
    assert pace[0] == pytest.approx(100, abs=1)
    assert pace[0] < pace[1] < pace[2]
    assert pace[3] == 0, "an hour later it is forgotten"


def test_a_server_that_tells_its_limit_is_believed(shared):
    shared.told(GENERAL, 600, now=1000)
    shared.refused(GENERAL, 60, blind=True, now=1001)
    assert shared.standing(GENERAL, now=1002)["limit"] == 600


# --- the breaker -------------------------------------------------------------------------------


def fail(budget, times: int, *, now: float, is_probe: bool = False) -> None:
    for _ in range(times):
        budget.failed(cause="status 502", is_probe=is_probe, now=now)


@pytest.fixture(params=["shared", "local"])
def breaker(request, shared):
    return shared if request.param == "shared" else LocalBudget(shares=1)


def ask(breaker, now: float):
    return breaker.reserve((GENERAL,), patience_s=5, now=now)


def test_a_server_that_is_down_is_left_alone_then_probed_by_one(breaker):
    fail(breaker, FAILURES, now=1000)
    refusal = ask(breaker, 1001)
    assert (refusal.refusal, refusal.cause) == ("broken", "status 502")
    assert refusal.wait_s == pytest.approx(PAUSE_S - 1)
    assert ask(breaker, 1000 + PAUSE_S).is_probe
    waiting = ask(breaker, 1001 + PAUSE_S)
    assert waiting.refusal == "broken", "one probe is enough"
    assert waiting.wait_s <= 5, "how it went is soon known"


def test_a_failed_probe_doubles_the_pause_and_a_good_one_ends_it(breaker):
    fail(breaker, FAILURES, now=1000)
    assert ask(breaker, 1015).is_probe
    fail(breaker, 1, now=1015, is_probe=True)
    assert ask(breaker, 1016).wait_s == pytest.approx(2 * PAUSE_S - 1)
    assert ask(breaker, 1045).is_probe
    breaker.fine()
    assert (ask(breaker, 1046).refusal, ask(breaker, 1046).is_probe) == ("", False)


def test_a_probe_that_never_ends_is_not_waited_for(breaker):
    fail(breaker, FAILURES, now=1000)
    assert ask(breaker, 1015).is_probe
    assert ask(breaker, 1100).is_probe


def test_failures_far_apart_do_not_add_up(breaker):
    for number in range(2 * FAILURES):
        fail(breaker, 1, now=1000 + number * 200)
    assert not ask(breaker, 1000 + 2 * FAILURES * 200).refusal


def test_a_good_answer_in_between_ends_a_row_of_failures(shared):
    for number in range(4):
        fail(shared, FAILURES // 2, now=1000 + number)
        told = shared.reserve((GENERAL,), patience_s=0, fine_since_s=0.1, now=1000.5 + number)
        assert not told.refusal


def test_the_client_gives_its_turn_back_while_the_server_is_down(gitlab, client_of, budget_of):
    gitlab.handlers["/version"] = lambda _: answer({}, 500)
    client = client_of(budget=budget_of(window_s=60), first_wait_s=0.0001)
    for _ in range(2):
        with pytest.raises(GitlabUnavailable, match="status 500"):
            get(client)
    assert len(gitlab.asked) == FAILURES
    with pytest.raises(GitlabUnavailable, match=r"status 500.*GITLAB_API_URL") as error:
        get(client)
    assert 5 < error.value.retry_after_s <= PAUSE_S
    assert len(gitlab.asked) == FAILURES, "nobody is asked"


def test_the_client_finds_out_that_the_server_is_back(gitlab, client_of, budget_of):
    gitlab.handlers["/version"] = lambda _: answer({}, 500)
    budget = budget_of(window_s=1.0)
    client = client_of(budget=budget, first_wait_s=0.0001)
    for _ in range(2):
        with pytest.raises(GitlabUnavailable):
            get(client)
    assert budget.standing().breaker == "open"
    gitlab.handlers["/version"] = lambda _: answer({"version": "17"})
    with pytest.raises(GitlabUnavailable) as error:
        get(client)
    time.sleep(error.value.retry_after_s)
    assert get(client).value == {"version": "17"}
    assert budget.standing().breaker == "closed"


# --- without Redis -----------------------------------------------------------------------------


def test_processes_without_redis_share_the_limit_out():
    processes = [LocalBudget(shares=3) for _ in range(3)]
    for process in processes:
        process.told(GENERAL, 600, now=1000)
    times = sorted(
        at
        for seed, process in enumerate(processes)
        for at in granted(
            lambda now, process=process: process.reserve((GENERAL,), patience_s=45, now=now),
            seconds=130, workers=8, seed=seed,
        )
    )  # fmt: skip
    assert fullest(times) <= 600
    assert len([at for at in times if at < 120]) >= 0.9 * 1200


def test_no_request_fails_because_redis_is_away(gitlab, client_of, budget_of, caplog):
    gitlab.singles["/version"] = {}
    budget = budget_of(redis_url=NOBODY)
    client = client_of(budget=budget)
    for _ in range(20):
        get(client)
    assert not budget.standing().is_shared
    assert budget.standing().used >= 0


def test_losing_redis_and_finding_it_again_keeps_the_limit(shared, budget_of):
    """A process that takes over alone starts behind what it was granted."""
    shared.told(GENERAL, 600, now=1000)
    local = LocalBudget(shares=1)
    times = []
    for number in range(1200):
        slot = shared.reserve((GENERAL,), patience_s=500, now=1000)
        local.follow((GENERAL,), slot, now=1000)
        times.append(1000 + slot.wait_s)
        if number == 400:
            break
    while len(times) < 1200:
        times.append(1000 + local.reserve((GENERAL,), patience_s=500, now=1000).wait_s)
    assert fullest(sorted(times)) <= 600


def test_who_comes_back_to_redis_queues_behind_its_own_share(shared):
    shared.told(GENERAL, 600, now=1000)
    local = LocalBudget(shares=1)
    local.told(GENERAL, 600, now=1000)
    times = [local.reserve((GENERAL,), patience_s=500, now=1000).wait_s for _ in range(100)]
    for _ in range(20):
        share = local.reserve((GENERAL,), patience_s=500, now=1000)
        times.append(shared.reserve((GENERAL,), patience_s=500, after_s=share.wait_s, now=1000).wait_s)
    times += [shared.reserve((GENERAL,), patience_s=500, now=1000).wait_s for _ in range(700)]
    assert fullest(sorted(times)) <= 600


def test_redis_is_used_again_when_it_is_back(budget_of, monkeypatch):
    budget = budget_of()
    lost = SharedBudget(NOBODY, key="x")
    found, budget._shared = budget._shared, lost
    assert not budget.turn("/version", patience_s=1).refusal
    assert not budget.standing().is_shared
    budget._shared = found
    budget.turn("/version", patience_s=1)
    assert not budget.standing().is_shared, "not looked at again at every request"
    monkeypatch.setattr("apps.collector.budget.REDIS_AGAIN_S", 0.0)
    budget._redis_again_at = 0.0
    budget.turn("/version", patience_s=1)
    assert budget.standing().is_shared


def test_a_forgetful_redis_costs_no_request(gitlab, client_of, budget_of):
    gitlab.singles["/version"] = {}
    budget = budget_of()
    client = client_of(budget=budget)
    get(client)
    store = redis.Redis.from_url(settings.TEM_REDIS_URL.replace("redis+socket://", "unix://"))
    store.delete(*budget._shared._keys)
    store.script_flush()
    assert get(client).value == {}


def test_the_token_is_nowhere_in_redis(gitlab, client_of):
    gitlab.next += [Reply(429, b"Retry later", {"Retry-After": "0"}), Reply(502, TOKEN.encode(), {})]
    gitlab.singles["/version"] = {}
    client = client_of(budget=None)
    get(client)
    store = redis.Redis.from_url(settings.TEM_REDIS_URL.replace("redis+socket://", "unix://"))
    host = gitlab.url.rpartition(":")[2]
    keys = list(store.scan_iter(f"*budget:127.0.0.1:{host}:*"))
    assert keys
    kept = b"".join(store.dump(key) + key for key in keys)
    assert TOKEN.encode() not in kept


# --- threads -----------------------------------------------------------------------------------


def test_threads_of_one_process_keep_the_limit_together(budget_of):
    """The whole way, in real time: a minute of 0.5 s."""
    budget = budget_of(window_s=0.5)
    budget.learn(
        {"RateLimit-Limit": "100", "RateLimit-Remaining": "99", "RateLimit-Reset": str(NOW.timestamp())},
        now=NOW,
    )
    times, until = [], time.monotonic() + 1.5

    def work() -> None:
        while time.monotonic() < until:
            budget.turn("/version", patience_s=5)
            times.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 200 < len(times) <= 310
    assert budget.standing().waits > 100
