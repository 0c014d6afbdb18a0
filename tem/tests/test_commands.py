"""The doors: manage.py, the embedded command, prepare, and what `make setup` decides."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

import manage
from tem import install
from tem.environment import CHECKOUT


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        (["migrate"], True),
        (["run", "backfill", "--wait"], True),
        (["run", "--help"], False),
        (["check"], False),
        (["embedded", "up"], False),
        (["makemigrations", "--check"], False),
        ([], False),
        (["--version"], False),
    ],
)
def test_services_are_started_for_commands_that_use_them(words: list[str], needed: bool) -> None:
    assert manage.needs_services(words) is needed


def test_embedded_status_tells_scripts_that_nothing_runs(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "manage.py", "embedded", "status"],
        cwd=CHECKOUT,
        env={**os.environ, "TEM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr.strip()) == (1, "CommandError: not running")


@pytest.mark.django_db
def test_prepare_twice_makes_one_login_that_works() -> None:
    call_command("prepare")
    call_command("prepare")
    admin = get_user_model().objects.get(is_superuser=True)
    kept = Path(os.environ["TEM_HOME"]) / "secrets" / "admin_password"
    assert admin.check_password(kept.read_text())


def test_install_is_redone_when_a_lock_file_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (install.UV, *install.DEV):
        (tmp_path / name).write_bytes((CHECKOUT / name).read_bytes())
    monkeypatch.setattr(install, "CHECKOUT", tmp_path)
    before = install.fingerprint(install.DEV)
    assert install.fingerprint(install.RUN) != before
    (tmp_path / "requirements.txt").write_text("Django==1.0\n")
    assert install.fingerprint(install.DEV) != before


@pytest.mark.django_db
def test_pages_carry_the_security_headers(client: Client) -> None:
    answer = client.get("/admin/login/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"
