"""Releases are listed again where the youngest of them are not those that we know, and only there."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import pytest

from apps.collector import models
from apps.collector.client import Client
from tests.collector.line import Asked, Reply, line_to
from tests.company.company import TOKEN, collect_all, company
from tests.company.test_increments import NIGHT

pytestmark = pytest.mark.django_db

LIST = "/releases"


@pytest.mark.parametrize(
    ("told", "instead"),
    [
        (rb'"releasedAt":"20\d\d', b'"releasedAt":"2019'),
        pytest.param(rb'"commit":\{"sha":"\w{6}', b'"commit":{"sha":"012345', marks=pytest.mark.soak),
        pytest.param(rb'\{"tagName":"[^"]+"', b'{"tagName":"gone"', marks=pytest.mark.soak),
    ],
    ids=["date", "commit", "name"],
)
def test_an_edited_release_has_its_list_read_again(told, instead):
    with company() as gitlab, line_to(gitlab.url) as line:
        client = Client(url=line.url, token=TOKEN, first_wait_s=0.001)
        collect_all(client, sweeps=True)
        gitlab.later(dt.timedelta(minutes=1))
        line.asked.clear()
        collect_all(client, sweeps=True, how=NIGHT)
        calm = line.count(LIST)
        assert models.RawRelease.objects.exists()

        def spoil(asked: Asked, reply: Reply) -> Reply:
            edited = b"ProjectsAtRest" in asked.body and re.sub(told, instead, reply.body, count=1)
            return replace(reply, body=edited) if edited else reply

        line.spoil = spoil
        gitlab.later(dt.timedelta(minutes=1))
        line.asked.clear()
        collect_all(client, sweeps=True, how=NIGHT)
        assert (calm, line.count(LIST) > 0) == (0, True)
