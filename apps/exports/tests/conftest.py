"""A house with values, and a browser session of somebody who may see them."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.exports.tests import house


@pytest.fixture
def built(db) -> None:
    house.build()


@pytest.fixture
def filled(built) -> None:
    house.fill()


@pytest.fixture
def signed_in(db, client: Client) -> Client:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client
