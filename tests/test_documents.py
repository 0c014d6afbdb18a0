"""The files that people read first say what is so."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

ROOT = Path(settings.BASE_DIR)
READ_FIRST = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]


def test_the_metric_table_of_the_readme_is_the_registry() -> None:
    call_command("readme", check=True)


def test_the_architecture_fits_in_one_sitting() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("name", READ_FIRST)
def test_every_path_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    rooms = "apps|tem|demo|config|charts|docs|runbooks|bench|tests|templates|static"
    quoted = re.findall(rf"`((?:{rooms})/[\w./*-]*)`", text)
    absent = [path for path in {*linked, *quoted} if "*" not in path and not (ROOT / path).exists()]
    assert absent == []


@pytest.mark.parametrize("name", ["README.md", "runbooks/README.md"])
def test_every_make_target_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
