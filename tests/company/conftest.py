"""A demo company for each test: its clock may be moved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.orgmap.models import Organisation
from tests.company.company import Company, company


@pytest.fixture(autouse=True)
def org(db: None) -> None:
    Organisation.objects.create(name="Toman", root_groups=["toman"], bots=[])


@pytest.fixture
def gitlab() -> Iterator[Company]:
    """A demo GitLab on a Friday morning."""
    with company() as running:
        yield running
