"""Every wrong setting is reported, together, by name, and never by value."""

from __future__ import annotations

import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tem.environment import CHECKOUT, Environment, SettingsWrong, kept_secret, load_dotenv, require_gitlab


@pytest.mark.parametrize(
    "given",
    [
        "https://gitlab.example.com",
        "https://gitlab.example.com/",
        "https://gitlab.example.com/api/v4",
        "https://gitlab.example.com/api/v4/",
        " https://gitlab.example.com/api/v4// ",
    ],
)
def test_gitlab_address_is_taken_with_and_without_the_api_path(given: str) -> None:
    assert Environment({"GITLAB_API_URL": given}).gitlab_url() == "https://gitlab.example.com"


def test_gitlab_below_a_path_keeps_its_path() -> None:
    env = Environment({"GITLAB_API_URL": "http://host:8080/gitlab/api/v4"})
    assert env.gitlab_url() == "http://host:8080/gitlab"


@pytest.mark.parametrize("given", ["gitlab.example.com", "ftp://host", "https://", "http://host:port"])
def test_gitlab_address_that_is_none_is_a_problem(given: str) -> None:
    env = Environment({"GITLAB_API_URL": given})
    assert env.gitlab_url() == ""
    assert len(env.problems) == 1


def test_value_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("glpat-abc\n")
    assert Environment({"GITLAB_API_TOKEN_FILE": str(file)}).gitlab_token() == "glpat-abc"


def test_file_problems_name_the_setting(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    env = Environment(
        {"A_FILE": str(tmp_path / "absent"), "B_FILE": str(empty), "C": "1", "C_FILE": str(empty)}
    )
    assert [env.text(name) for name in "ABC"] == ["", "", "1"]
    assert [problem.split(":")[0] for problem in env.problems] == ["A_FILE", "B_FILE", "C"]


def test_token_that_would_break_a_header_is_refused() -> None:
    env = Environment({"GITLAB_API_TOKEN": "abc\r\nX: y"})
    assert env.gitlab_token() == ""
    assert "GITLAB_API_TOKEN" in env.problems[0]


def test_a_signing_key_is_bytes_however_it_is_written() -> None:
    env = Environment({"A": "whsec_a2V5", "B": "key", "C": "whsec_no base64"})
    assert [env.signing_key(name) for name in "ABCD"] == [b"key", b"key", b"", b""]
    assert [problem.split(":")[0] for problem in env.problems] == ["C"]


def test_numbers_keep_their_bounds() -> None:
    env = Environment({"LOW": "0", "WORD": "many", "SIGN": "-3", "FINE": "7"})
    found = [env.whole_number(name, 5, low=1, high=9) for name in ("LOW", "WORD", "SIGN", "FINE", "ABSENT")]
    assert found == [5, 5, 5, 7, 5]
    assert len(env.problems) == 3


def test_missing_gitlab_settings_are_named_together(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingsWrong) as refused:
        require_gitlab(url="", token="")
    assert refused.value.code == 2
    words = capsys.readouterr().err
    assert "GITLAB_API_URL: " in words
    assert "GITLAB_API_TOKEN: " in words


def test_commands_report_every_wrong_setting_at_once_without_its_value(tmp_path: Path) -> None:
    wrong = {
        "TIMEZONE": "Mars/sEcReT",
        "TEM_MAX_PARALLELISM": "sEcReT",
        "TEM_BACKFILL_DAYS": "sEcReT",
        "TEM_DB_CONNECTION": "mysql://u:sEcReT@host/db",
        "TEM_REDIS_URL": "sEcReT",
        "GITLAB_API_URL": "sEcReT",
        "TEM_SECRET_KEY_FILE": str(tmp_path / "absent"),
    }
    ran = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=CHECKOUT,
        env={**os.environ, **wrong, "TEM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert all(f"- {name}: " in ran.stderr for name in wrong)
    assert "sEcReT" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_kept_secret_is_private_and_the_same_for_all(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.starmap(kept_secret, [(tmp_path, "key")] * 12)
    assert len(set(found)) == 1
    assert stat.S_IMODE((tmp_path / "secrets" / "key").stat().st_mode) == 0o600
    assert [each.name for each in (tmp_path / "secrets").iterdir()] == ["key"]
    assert kept_secret(tmp_path, "another") != found[0]


def test_dotenv_adds_but_never_overrides(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('# a note\n#X=0\n\nA=1\nexport B="two words"\nC=kept out\nno equals\n')
    variables = {"C": "mine"}
    load_dotenv(variables, file)
    assert variables == {"A": "1", "B": "two words", "C": "mine"}
    load_dotenv(variables, tmp_path / "absent")
