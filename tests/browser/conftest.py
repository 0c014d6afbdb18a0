"""One browser for all browser tests, signed in to a live server with a house behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.exports.tests import house
from tests.browser.chromium import PROGRAM, Browser, browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with browser() as opened:
        yield opened


@pytest.fixture
def tab(chromium, live_server) -> Browser:
    """A signed-in tab; `tab.at` is the address of the server."""
    house.build()
    house.fill()
    client = Client()
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    chromium.at = live_server.url
    chromium.cookie(live_server.url, "sessionid", client.cookies["sessionid"].value)
    return chromium
