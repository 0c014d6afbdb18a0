"""What the one command decides before it starts anything."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tem import stack
from tem.environment import CHECKOUT, SettingsWrong
from tem.members import listening
from tem.supervisor import MemberEnded

USERS_OWN = {
    "GITLAB_API_URL": "https://gitlab.example.com",
    "GITLAB_API_TOKEN": "glpat-real",
    "TEM_DB_CONNECTION": "postgresql://real",
    "TEM_REDIS_URL_FILE": "/real",
    "TEM_ORG_FILE": "/real/org.yaml",
    "TEM_EMAIL_HASH_KEY": "real",
}


@pytest.fixture
def users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in USERS_OWN.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("users_own")
def test_demo_never_sees_the_users_own_services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMEZONE", "Asia/Tehran")
    variables = stack.demo_variables(tmp_path)
    assert not USERS_OWN.keys() & variables.keys()
    assert variables["TIMEZONE"] == "Asia/Tehran"
    assert "PATH" in variables


def test_demo_never_writes_among_real_exports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real, mine = tmp_path / "real", tmp_path / "mine"
    (real / "daily").mkdir(parents=True)
    monkeypatch.setenv("TEM_EXPORT_DIR", str(real))
    with pytest.raises(SettingsWrong):
        stack.demo_variables(tmp_path)
    monkeypatch.setenv("TEM_EXPORT_DIR", str(mine))
    stack.demo_variables(tmp_path)
    (mine / "daily").mkdir()
    assert stack.demo_variables(tmp_path)["TEM_EXPORT_DIR"] == str(mine)


def test_taken_port_gives_way_to_the_next_free_one() -> None:
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with listening("127.0.0.1", port) as door:
            found = door.getsockname()[1]
            assert port < found < port + 50
            with socket.create_connection(("127.0.0.1", found), timeout=2):
                pass  # it listens before the web process is up: nobody can take the port meanwhile


def test_second_stack_over_the_same_data_is_refused(tmp_path: Path) -> None:
    with stack.only_one(tmp_path), pytest.raises(MemberEnded, match="already"), stack.only_one(tmp_path):
        pass
    with stack.only_one(tmp_path):
        pass


def test_make_knows_the_promised_targets() -> None:
    targets = ["setup", "demo", "once", "up", "test", "soak", "bench", "release-check", "lock"]
    ran = subprocess.run(
        ["make", "--dry-run", *targets, "SERVE=0", "KIND=nightly", "DAYS=7"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "tem.stack demo --days 7 --no-serve" in ran.stdout
    assert "tem.stack once nightly --days 7" in ran.stdout
