"""kill -9 with real workers: what an interrupted run left, the next finishes, to the same rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from django.conf import settings
from django.db import connection

from tem import clock, embedded, pipeline
from tests.acceptance.plain_gitlab import TOKEN, serving
from tests.acceptance.small_world import ORG_FILE
from tests.runs.conftest import FIRST_VERSION
from tests.runs.gate import Gate, drain, wait_until

HASH_KEY = "the same for both, or the hashes differ"
HELD_AT = "/projects/102/pipelines"
OURS = ("id", "fetched_at", "observed_at", "scope_id", "run_id", "written_at", "sha256", "rules_version")


class Installation:
    """A database, a home and a token of our own: commands run against them as a user would run them."""

    def __init__(self, folder: Path, *, database: str) -> None:
        self.folder, self.database = folder, database
        (folder / "org.yaml").write_text(ORG_FILE)

    def run(self, *words: str, gitlab: str) -> subprocess.Popen[str]:
        variables = {name: value for name, value in os.environ.items() if not name.startswith("TEM_")}
        variables |= {
            "TEM_HOME": str(self.folder),
            "TEM_DB_CONNECTION": self.database,
            "TEM_REDIS_URL": settings.TEM_REDIS_URL,
            "TEM_ORG_FILE": str(self.folder / "org.yaml"),
            "TEM_MAX_PARALLELISM": "2",
            "TEM_EMAIL_HASH_KEY": HASH_KEY,
            "GITLAB_API_URL": gitlab,
            "GITLAB_API_TOKEN": TOKEN,
        }
        return subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=embedded.CHECKOUT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def backfill(self, *, gitlab: str) -> subprocess.Popen[str]:
        return self.run("run", "backfill", "--days", "10", "--wait", gitlab=gitlab)

    def ask(self, question: str) -> list[tuple]:
        with closing(psycopg.connect(self.database, autocommit=True)) as link:
            return link.execute(question).fetchall()


Ask = Callable[[str], list[tuple]]


def content(ask: Ask) -> dict[str, list[str]]:
    """Every row of every table of ours, without the columns that say when and by whom it was written."""
    named = "select tablename from pg_tables where schemaname = 'public'"
    tables = [name for (name,) in ask(named) if name.startswith(("raw_", "dim_", "fact_", "link_"))]
    without = "".join(f" - '{column}'" for column in OURS)
    rows = {
        table: [str(row) for row in ask(f"select (to_jsonb(t){without})::text from {table} t order by 1")]
        for table in tables
    }
    values = "select s.key, m.metric, m.window, m.day, m.value, m.n, m.reason from metric_daily m"
    order = "join metric_scope s on s.id = scope_id order by 1, 2, 3, 4"
    rows["values"] = [str(row) for row in ask(f"{values} {order}")]
    files = "select day, format, version, content_sha256 from artifact order by 1, 2, 3"
    rows["files"] = [str(row) for row in ask(files)]
    return rows


@contextmanager
def _database(name: str, *, template: str) -> Iterator[str]:
    """A database of its own on the test server, dropped in the end; its address."""
    given = settings.DATABASES["default"]
    where = f"postgresql://{given['USER']}:{given['PASSWORD']}@{given['HOST']}:{given['PORT']}"
    with closing(psycopg.connect(f"{where}/postgres", autocommit=True)) as admin:
        admin.execute(f"create database {name} template {template}")
        try:
            yield f"{where}/{name}"
        finally:
            admin.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def prepared(django_db_setup: None, django_db_blocker) -> Iterator[str]:
    """The name of a database with our tables, ready to be copied."""
    with django_db_blocker.unblock():
        ours = connection.settings_dict["NAME"]
        connection.close()  # one with a connection cannot be copied
    name = f"{ours}_kill_{os.getpid()}"
    with _database(name, template=ours) as address:
        with closing(psycopg.connect(address, autocommit=True)) as link:
            link.execute(FIRST_VERSION)
        yield name


@contextmanager
def _installed(prepared: str, folder: Path) -> Iterator[Installation]:
    with _database(f"{prepared}_{folder.name}", template=prepared) as address:
        folder.mkdir()
        yield Installation(folder, database=address)


@pytest.fixture
def undisturbed(gitlab: Gate, settings) -> dict[str, list[str]]:
    """What a run leaves that nobody disturbed: every step done once, in this process."""
    settings.TEM_EMAIL_HASH_KEY = HASH_KEY
    assert drain(pipeline.start("backfill", slot="undisturbed", now=clock.now(), days=10)).state == "done"

    def ask(question: str) -> list[tuple]:
        with connection.cursor() as sql:
            sql.execute(question)
            return sql.fetchall()

    found = content(ask)
    assert found["raw_mr"], "the small world was collected"
    assert len(found["files"]) == 20  # ten complete days, two formats
    return found


def differing(here: dict[str, list[str]], there: dict[str, list[str]]) -> dict[str, list[str]]:
    """By table the rows that one side has more often than the other."""
    found = {}
    for name in here.keys() | there.keys():
        ours, theirs = Counter(here.get(name, [])), Counter(there.get(name, []))
        found[name] = sorted((ours - theirs) + (theirs - ours))
    return {name: rows for name, rows in found.items() if rows}


def holder_of(ours: Installation, project: int) -> int:
    """The pid of the process that holds the project's step."""
    (name,) = ours.ask(f"select holder from run_step where state = 'leased' and project_id = {project}")[0]
    return int(name.split(":")[1])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()


SECRETS = (TOKEN, HASH_KEY, "ann@example.org")


def spilt(ours: Installation) -> list[str]:
    """Where a secret or an address lies that should lie nowhere: files and logs, tables, the broker."""
    told = {str(path): path.read_bytes() for path in ours.folder.rglob("*") if path.is_file()}
    for (name,) in ours.ask("select tablename from pg_tables where schemaname = 'public'"):
        told[name] = "\n".join(row for (row,) in ours.ask(f"select t::text from {name} t")).encode()
    broker = redis.Redis.from_url(settings.TEM_REDIS_URL)
    told |= {str(key): key + (broker.dump(key) or b"") for key in broker.scan_iter()}
    return [where for where, content in told.items() for secret in SECRETS if secret.encode() in content]


def test_a_killed_pool_child_is_replaced_and_its_step_done_again(prepared, world, undisturbed, tmp_path):
    world.at = HELD_AT
    with serving(world) as address, _installed(prepared, tmp_path / "child") as ours:
        run = ours.backfill(gitlab=address)
        assert world.reached.wait(timeout=60)
        os.kill(holder_of(ours, 102), signal.SIGKILL)
        world.open()
        said, _ = run.communicate()
        assert run.returncode == 0, said
        assert ours.ask("select attempt from run_step where phase = 'collect' and project_id = 102") == [(2,)]
        assert any("step done" in log.read_text() for log in ours.folder.rglob("*.log"))
        assert spilt(ours) == []
        assert differing(content(ours.ask), undisturbed) == {}


def test_after_a_kill_of_everything_a_second_request_goes_on_with_the_same_run(
    prepared, world, undisturbed, tmp_path
):
    world.at = HELD_AT
    with serving(world) as address, _installed(prepared, tmp_path / "all") as ours:
        run = ours.backfill(gitlab=address)
        assert world.reached.wait(timeout=60)
        holder = holder_of(ours, 102)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        wait_until(lambda: is_gone(holder))
        world.open()
        second = ours.backfill(gitlab=address)
        said, _ = second.communicate()
        assert second.returncode == 0, said
        assert "Joining it" in said
        assert ours.ask("select count(*), max(state) from run") == [(1, "done")]
        assert differing(content(ours.ask), undisturbed) == {}
