"""Faults of every kind at any moment, several in a run, seeded: each run ends once, as a calm one does."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tem import servers
from tests.acceptance.plain_gitlab import serving
from tests.collector import soaking
from tests.runs.furnished import Furnished, furnishing, has_ended_well
from tests.runs.gate import wait_until
from tests.runs.half_open import Proxy, proxied
from tests.runs.house import House

pytestmark = [pytest.mark.django_db, pytest.mark.soak, pytest.mark.xdist_group("faults")]
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "25"))
FAULTS = 4  # a step is tried five times
LONGEST_S = 400.0


class Slow(dict):
    """A world whose answers take a while, so that there is something to interrupt."""

    def get(self, path, default=None):
        threading.Event().wait(0.1)
        return super().get(path, default)


class Cluster:
    """A PostgreSQL of our own, which may be restarted at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.server, self._log = servers.postgres(folder, durable=True), folder / "postgres.log"
        self._start()

    def _start(self) -> None:
        self._process = self.server.start(self._log)
        wait_until(lambda: servers.postgres_is_ready(self.server), seconds=120)

    def restart(self) -> None:
        """Without a word to anybody: what was not committed is gone."""
        self.stop(signal.SIGQUIT)
        servers.forget_stale_lock(self.server)
        self._start()

    def stop(self, how: int = signal.SIGINT) -> None:
        self._process.send_signal(how)
        self._process.wait()

    def address(self, name: str) -> str:
        return self.server.url.rpartition("/")[0] + f"/{name}"

    def ask(self, question: str) -> None:
        with closing(psycopg.connect(self.address("postgres"), autocommit=True)) as link:
            link.execute(question)


class Night:
    """One run in a house, and what may be done to it."""

    def __init__(self, house: House, cluster: Cluster, line: Proxy, dice: random.Random) -> None:
        self.house, self.cluster, self.line, self.dice = house, cluster, line, dice
        self.worker = house.worker()
        self.stopped: list[int] = []

    def holders(self) -> list[int]:
        found = self.house.ask("select holder from run_step where state = 'leased'")
        return [int(name.split(":")[1]) for (name,) in found if name]

    def signal_a_holder(self, number: int) -> bool:
        holders = [pid for pid in self.holders() if pid not in self.stopped]
        if not holders:
            return False
        victim = self.dice.choice(holders)
        try:
            os.kill(victim, number)
        except ProcessLookupError:  # it was just replaced
            return False
        if number == signal.SIGSTOP:
            self.stopped.append(victim)
        return True

    def kill_a_child(self) -> bool:
        return self.signal_a_holder(signal.SIGKILL)

    def stop_a_child(self) -> bool:
        return not self.stopped and self.signal_a_holder(signal.SIGSTOP)

    def kill_the_worker(self) -> bool:
        self.worker.kill()
        self.worker = self.house.worker()
        return True

    def deploy(self) -> bool:
        leaving, self.worker = self.worker, self.house.worker()
        leaving.send_signal(signal.SIGTERM)
        return True

    def restart_the_database(self) -> bool:
        self.cluster.restart()
        return True

    def empty_the_broker(self) -> bool:
        self.house.flush_broker()
        return True

    def kill_the_broker(self) -> bool:
        self.house.kill_broker(with_its_file=self.dice.random() < 0.5)
        self.house.start_broker()
        return True

    def freeze_the_lines(self) -> bool:
        return self.line.freeze() > 0

    def faults(self) -> dict[str, Callable[[], bool]]:
        return {
            "kill_a_child": self.kill_a_child,
            "stop_a_child": self.stop_a_child,
            "kill_the_worker": self.kill_the_worker,
            "deploy": self.deploy,
            "restart_the_database": self.restart_the_database,
            "empty_the_broker": self.empty_the_broker,
            "kill_the_broker": self.kill_the_broker,
            "freeze_the_lines": self.freeze_the_lines,
        }

    def wake(self) -> None:
        for pid in self.stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue  # its worker was ended


@pytest.fixture(scope="module")
def calm(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Furnished]:
    with django_db_blocker.unblock(), furnishing(tmp_path_factory.mktemp("calm")) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(calm, tmp_path_factory) -> Iterator[Cluster]:
    """With a database to copy, `furnished`."""
    folder = tmp_path_factory.mktemp("cluster")
    ours = Cluster(folder / "home")
    ours.ask("create database furnished")
    with House(folder / "house", database=ours.address("furnished"), gitlab="http://127.0.0.1:9") as house:
        house.prepare()
    yield ours
    ours.stop()


@contextmanager
def night(cluster: Cluster, calm: Furnished, folder: Path, dice: random.Random) -> Iterator[Night]:
    name = f"night_{folder.name.rpartition('-')[2]}"
    cluster.ask(f"create database {name} template furnished")
    with serving(Slow(calm.world)) as gitlab:
        house = House(folder, database=cluster.address(name), gitlab=gitlab)
        with house, proxied(house.broker.port) as line:
            house.redis_url = house.broker.url.replace(f":{house.broker.port}/", f":{line.port}/")
            house.open_run(calm.parameters)
            yield Night(house, cluster, line, dice)
    cluster.ask(f"drop database {name} with (force)")


def beset(ours: Night) -> Counter[str]:
    """Some faults, one after the other, as long as there is a run to disturb."""
    done: Counter[str] = Counter()
    wait_until(lambda: bool(ours.holders()), seconds=60)
    for _ in range(ours.dice.randint(1, FAULTS)):
        threading.Event().wait(ours.dice.uniform(0, 2.5))
        name = ours.dice.choice(sorted(ours.faults()))
        if ours.house.state()[0] == "active" and ours.faults()[name]():
            done[name] += 1
    return done


@pytest.mark.timeout(3600)
def test_every_run_ends_once_and_well(calm, cluster, tmp_path):
    seed = soaking.seed()
    print(f"SOAK_SEED={seed}")
    dice, counts = random.Random(seed), Counter(seed=seed)
    for number in range(ROUNDS):
        with night(cluster, calm, tmp_path / f"night-{number}", dice) as ours:
            done = beset(ours)
            print(number, dict(done), flush=True)
            wait_until(lambda: not set(ours.stopped) & set(ours.holders()), seconds=LONGEST_S)
            ours.wake()  # now that its step is another's
            has_ended_well(ours.house, calm, within_s=LONGEST_S)
            counts.update(done, nights=1, refused=ours.house.said().count("claim lost"))
    soaking.keep("bad_nights", counts)
