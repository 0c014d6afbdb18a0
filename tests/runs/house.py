"""An installation that faults can be done to: a database, a Valkey and workers of its own, a held world."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection

from apps.orgmap.import_org import seed_if_empty
from tem import clock, embedded, servers
from tem.processes import tied
from tests.acceptance.plain_gitlab import TOKEN
from tests.acceptance.small_world import ORG_FILE
from tests.runs.conftest import FIRST_VERSION
from tests.runs.crashes import COUNT_ENDS
from tests.runs.gate import wait_until

HASH_KEY = "the same for both, or the hashes differ"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")


class Gates(dict[str, Any]):
    """A world for `plain_gitlab.serving`; the first question for each held path waits until it is opened.

    A path that is given twice holds its first two questions, each on its own: the nth.
    """

    def __init__(self, world: dict[str, Any], *held: str) -> None:
        super().__init__(world)
        each = [(path, held[:place].count(path) + 1) for place, path in enumerate(held)]
        self.reached = {gate: threading.Event() for gate in each}
        self.opened = {gate: threading.Event() for gate in each}
        self._asked: Counter[str] = Counter()

    def get(self, path: str, default: Any = None) -> Any:  # what the server looks answers up with
        self._asked[path] += 1
        gate = (path, self._asked[path])
        if gate in self.reached:
            self.reached[gate].set()
            self.opened[gate].wait(timeout=120)
        return super().get(path, default)

    def wait_for(self, path: str, *, nth: int = 1) -> None:
        """Until somebody has asked for the path and waits."""
        assert self.reached[path, nth].wait(timeout=30), f"nobody asked for {path}"

    def open(self, path: str, *, nth: int = 1) -> None:
        self.opened[path, nth].set()


@contextmanager
def over(database: str) -> Iterator[None]:
    """This process's own Django on that database of the test server."""
    given = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = given


def furnish(org_file: Path) -> None:
    """What a new database needs before its first run, and a table that counts the ends of runs."""
    org_file.write_text(ORG_FILE)
    with connection.cursor() as sql:
        sql.execute(FIRST_VERSION)
        sql.execute(COUNT_ENDS)
    seed_if_empty(str(org_file), now=clock.now())


class House:
    """Of one test. `database` is an address; use as a context, which ends whatever was started."""

    def __init__(self, folder: Path, *, database: str, gitlab: str) -> None:
        folder.mkdir(parents=True)
        self.folder, self.database, self.gitlab = folder, database, gitlab
        self.broker = servers.valkey(folder)
        self.redis_url = self.broker.url  # where workers look for it
        self._broker: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> House:
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers, *([self._broker] if self._broker else [])]:
            process.kill()
            process.wait()

    # --- the broker -------------------------------------------------------------------------------

    def start_broker(self) -> None:
        self._broker = self.broker.start(self.folder / "valkey.log")
        wait_until(lambda: servers.valkey_is_ready(self.broker))

    def kill_broker(self, *, with_its_file: bool) -> None:
        """kill -9; `with_its_file`: nothing that it knew is left on the disk either."""
        assert self._broker
        self._broker.kill()
        self._broker.wait()
        if with_its_file:
            shutil.rmtree(self.folder / "valkey" / "appendonlydir", ignore_errors=True)

    def flush_broker(self) -> None:
        with closing(redis.Redis.from_url(self.broker.url)) as link:
            link.flushall()

    # --- the database -----------------------------------------------------------------------------

    def ask(self, question: str, *told: Any) -> list[tuple]:
        with closing(psycopg.connect(self.database, autocommit=True)) as link:
            asked = link.execute(question, told)
            return asked.fetchall() if asked.description else []

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """What clients see while PostgreSQL is restarted at once: lines cut, then nobody let in.

        The block is left when several have been refused.
        """
        name, log = self.database.rpartition("/")[2], settings.TEM_HOME / "logs" / "postgres.log"
        with closing(psycopg.connect(address_of("postgres"), autocommit=True)) as link:
            link.execute(f"alter database {name} allow_connections false")
            link.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
            yield
            refused = f'database "{name}" is not currently accepting connections'
            wait_until(lambda: log.read_text(errors="replace").count(refused) >= 4)
            link.execute(f"alter database {name} allow_connections true")

    def open_run(self, parameters: dict[str, Any]) -> None:
        """A row is all it takes: the first reconciler to see it opens its first phase."""
        self.ask(
            "insert into run (kind, slot, state, parameters, phase, reason, summary, requested_at) "
            "values ('backfill', 'faults', 'active', %s::jsonb, '', '', '{}', now())",
            json.dumps(parameters),
        )

    def step(self, project: int, *, phase: str = "collect") -> tuple[str, int, str]:
        """State, fence and holder of a project's step."""
        question = "select state, fence, holder from run_step where phase = %s and project_id = %s"
        return self.ask(question, phase, project)[0]  # type: ignore[return-value]

    def claims(self) -> int:
        """How many there were so far."""
        return int(self.ask("select coalesce(sum(fence), 0) from run_step")[0][0])

    def holder(self, project: int) -> int:
        """The pid of the process that claimed the project's step last."""
        return int(self.step(project)[2].split(":")[1])

    def run_out(self, project: int) -> None:
        """As if its lease had run out."""
        self.ask(
            "update run_step set lease_until = now() - interval '1 s' "
            "where state = 'leased' and project_id = %s",
            project,
        )

    def state(self) -> tuple[str, str]:
        """Of the run: its state, and why."""
        return self.ask("select state, reason from run")[0]  # type: ignore[return-value]

    # --- workers ----------------------------------------------------------------------------------

    def variables(self) -> dict[str, str]:
        """What the product's processes see of the environment."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("TEM_", "GITLAB_"))}
        return ours | {
            "TEM_HOME": str(self.folder),
            "TEM_DB_CONNECTION": self.database,
            "TEM_REDIS_URL": self.redis_url,
            "TEM_MAX_PARALLELISM": "2",
            "TEM_EMAIL_HASH_KEY": HASH_KEY,
            "TEM_LOG_FORMAT": "json",
            "GITLAB_API_URL": self.gitlab,
            "GITLAB_API_TOKEN": TOKEN,
            "REMAP_SIGTERM": "SIGQUIT",
        }

    def prepare(self) -> None:
        """What `manage.py prepare` does to an empty database."""
        (self.folder / "org.yaml").write_text(ORG_FILE)
        subprocess.run(
            [sys.executable, "manage.py", "prepare"],
            cwd=embedded.CHECKOUT,
            env=self.variables() | {"TEM_ORG_FILE": str(self.folder / "org.yaml")},
            check=True,
            capture_output=True,
        )
        self.ask(COUNT_ENDS)

    def worker(self, *, app: str = "tem") -> subprocess.Popen[bytes]:
        """One more; two steps at a time. Its log is worker-N.log."""
        number = len(self.workers)
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", "collect,compute,export,ops"]
        with (self.folder / f"worker-{number}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--hostname", f"{number}@%h", *QUIET],
                cwd=embedded.CHECKOUT,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=tied(signal.SIGKILL),
            )
        self.workers.append(process)
        return process

    def said(self) -> str:
        """What all workers have logged."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log")))


def address_of(database: str) -> str:
    """Of a database on the test server."""
    given = settings.DATABASES["default"]
    return f"postgresql://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}/{database}"
