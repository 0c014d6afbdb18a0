"""Alerts reach every channel, over real HTTP; none is lost, none is told twice."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import call_command

from apps.runs import alerts
from apps.runs.models import Alert
from tem import notify

NOW = dt.datetime(2025, 6, 10, 1, 0, tzinfo=dt.UTC)
SECRET = "pass-word-of-the-channel"


class Channel:
    """Somebody who is told: takes what is posted, or refuses with `status`."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.server, self.status, self.got = server, 200, list[dict[str, str]]()

    @property
    def address(self) -> str:
        return f"json://ann:{SECRET}@127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def channel() -> Iterator[Channel]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(there.status)
            self.end_headers()
            if there.status == 200:
                there.got.append(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Channel(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield there
    server.shutdown()
    server.server_close()
    thread.join()


other = channel


def raised(occasion: str = "incident 7", *, now: dt.datetime = NOW) -> Alert | None:
    text = "Incident 7 (parity), found by run 12: 95 of 100 checks agree."
    return alerts.raise_alert(alerts.DATA_QUALITY_RED, occasion=occasion, text=text, now=now)


@pytest.mark.django_db
def test_everybody_is_told_once_of_what_is_raised_twice(channel, other, settings) -> None:
    settings.TEM_NOTIFY_URLS = [channel.address, other.address]
    assert raised() is not None and raised() is None
    assert notify.deliver(now=NOW) == 1
    assert notify.deliver(now=NOW + dt.timedelta(hours=1)) == 0
    (message,) = channel.got
    assert other.got == channel.got
    assert message["title"] == "TEM: Data quality is red"
    assert message["message"].startswith("Incident 7 (parity), found by run 12")
    assert "runbooks/data-quality-red.md" in message["message"]


@pytest.mark.django_db
def test_a_channel_that_fails_is_tried_again_alone_and_later(channel, other, settings) -> None:
    settings.TEM_NOTIFY_URLS = ["nonsense://x", other.address, channel.address]
    other.status = 500
    raised()
    notify.deliver(now=NOW)
    assert (len(channel.got), len(other.got)) == (1, 0)
    other.status = 200
    notify.deliver(now=NOW + dt.timedelta(seconds=30))
    assert other.got == []
    notify.deliver(now=NOW + dt.timedelta(minutes=1))
    assert (len(channel.got), len(other.got)) == (1, 1)
    notify.deliver(now=NOW + dt.timedelta(hours=2))
    assert (len(channel.got), len(other.got)) == (1, 1)
    assert alerts.waiting(now=NOW) == 1  # the first address is nobody's


@pytest.mark.django_db
def test_what_another_is_sending_is_left_to_it_until_it_has_had_its_time(channel, settings) -> None:
    settings.TEM_NOTIFY_URLS = [channel.address]
    alert = raised()
    assert alerts.take(alert, now=NOW)  # and dies
    assert not alerts.take(alert, now=NOW)
    notify.deliver(now=NOW + dt.timedelta(seconds=59))
    assert channel.got == []
    notify.deliver(now=NOW + dt.timedelta(seconds=60))
    assert len(channel.got) == 1


@pytest.mark.django_db
def test_yesterdays_news_is_not_sent_any_more(channel, settings) -> None:
    raised(now=NOW - dt.timedelta(days=1))
    settings.TEM_NOTIFY_URLS = [channel.address]
    notify.deliver(now=NOW)
    assert channel.got == []


def test_the_test_command_says_what_came_of_each_channel_and_no_secret(
    channel, other, settings, capsys
) -> None:
    settings.TEM_NOTIFY_URLS = [channel.address, other.address]
    call_command("notify", "test")
    other.status = 403
    with pytest.raises(SystemExit) as ended:
        call_command("notify", "test")
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert told.out.count(": sent") == 3 and told.out.count("not taken") == 1
    assert SECRET not in told.out + told.err
    settings.TEM_NOTIFY_URLS = []
    with pytest.raises(SystemExit) as ended:
        call_command("notify", "test")
    assert ended.value.code == 2


def test_every_kind_has_its_page(settings) -> None:
    pages = settings.BASE_DIR / "runbooks"
    assert all((pages / kind.runbook).is_file() for kind in alerts.KINDS.values())
