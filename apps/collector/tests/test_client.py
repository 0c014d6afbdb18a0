"""The client against everything that can stand between us and GitLab."""

from __future__ import annotations

import datetime as dt
import json
import logging
import socket
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.collector.client import Client
from apps.collector.errors import (
    GitlabRefused,
    GitlabUnavailable,
    OutOfBudget,
    RouteRefused,
    TokenRefused,
    TooSlow,
)
from apps.collector.patience import asked_wait, server_time
from apps.collector.tests.conftest import TOKEN
from apps.collector.tests.server import NOW, FakeGitlab, Reply, answer, serving

JSON = {"Content-Type": "application/json"}


def get(client: Client, path: str = "/version"):
    return client.get(path, query={}, decode=msgspec.json.decode)


def test_answers_are_decoded_and_carry_the_servers_clock(gitlab, client):
    gitlab.singles["/version"] = {"version": "17.1.0"}
    found = get(client)
    assert found.value == {"version": "17.1.0"}
    assert found.server_time == NOW
    assert gitlab.asked[0].headers["PRIVATE-TOKEN"] == TOKEN


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": "0.01"},
        {"Retry-After": "-5"},
        {"Retry-After": "soon"},
        {"Retry-After": "Fri, 05 Sep 2025 11:59:00 GMT"},
        {"RateLimit-Reset": "never"},
        {},
    ],
    ids=str,
)
def test_a_429_is_waited_out_whatever_its_headers(gitlab, client, headers):
    gitlab.singles["/version"] = {}
    gitlab.next += [Reply(429, b"Retry later", {"Content-Type": "text/plain", **headers})] * 2
    get(client)
    assert (client.requests, client.refusals) == (3, 2)


def test_a_long_wait_is_given_back_not_slept(gitlab, client):
    gitlab.next += [Reply(429, b"Retry later", {"Retry-After": "600"})]
    started = time.monotonic()
    with pytest.raises(GitlabUnavailable) as error:
        get(client)
    assert error.value.retry_after_s == 600
    assert time.monotonic() - started < 5
    with pytest.raises(OutOfBudget):
        get(client)  # nobody asks before that


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 520, 530])
def test_a_server_error_is_tried_again(gitlab, client, status):
    gitlab.singles["/version"] = {"version": "1"}
    gitlab.next += [Reply(status, b"<html>bad gateway</html>", {"Content-Type": "text/html"})]
    assert get(client).value == {"version": "1"}


@pytest.mark.parametrize(
    "broken",
    [
        Reply(200, b"<html><body>Sign in</body></html>", {"Content-Type": "text/html"}),
        Reply(200, b"<!DOCTYPE html><p>Maintenance", JSON),
        Reply(200, b'[{"id": 1}, {"id":', JSON),
        Reply(200, json.dumps(["x" * 5000]).encode(), JSON, cut=True),
    ],
    ids=["html", "html that says it is json", "cut-off json", "connection reset"],
)
def test_a_broken_answer_is_tried_again(gitlab, client, broken):
    gitlab.singles["/version"] = {"version": "1"}
    gitlab.next += [broken]
    assert get(client).value == {"version": "1"}
    assert client.requests == 2


def test_html_for_ever_says_so(gitlab, client):
    gitlab.handlers["/version"] = lambda _: Reply(200, b"<html>", {"Content-Type": "text/html"})
    with pytest.raises(GitlabUnavailable, match=r"HTML page.*GITLAB_API_URL"):
        get(client)


@pytest.mark.parametrize(
    ("status", "body"), [(401, {"message": "401 Unauthorized"}), (403, {"error": "insufficient_scope"})]
)
def test_a_refused_token_is_told_by_name_and_not_tried_again(gitlab, client, status, body):
    gitlab.handlers["/version"] = lambda _: answer(body, status)
    with pytest.raises(TokenRefused, match="GITLAB_API_TOKEN") as error:
        get(client)
    assert client.requests == 1
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_closed_is_not_asked_again(gitlab, client, status):
    gitlab.handlers["/version"] = lambda _: answer({"message": "no"}, status)
    with pytest.raises(GitlabRefused):
        get(client)
    assert client.requests == 1


@pytest.mark.parametrize("status", [400, 405, 422])
def test_what_the_server_does_not_understand_is_a_refused_route(gitlab, client, status):
    gitlab.handlers["/version"] = lambda _: answer({"error": "no such parameter"}, status)
    with pytest.raises(RouteRefused):
        get(client)


def test_nobody_listening_names_the_setting(client_of):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = client_of(url=f"http://127.0.0.1:{unused.getsockname()[1]}")
    with pytest.raises(GitlabUnavailable, match=r"refused.*GITLAB_API_URL"):
        get(client)


def test_an_unknown_host_names_the_setting(client_of):
    client = client_of(url="http://gitlab.invalid")
    with pytest.raises(GitlabUnavailable, match=r"host name is unknown.*GITLAB_API_URL"):
        get(client)


def test_a_server_that_does_not_answer_in_time_is_too_slow(client_of):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = client_of(url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=(0.2, 0.05))
        with pytest.raises(TooSlow):
            get(client)


def test_a_slow_drip_ends_at_the_deadline(gitlab, client_of):
    with socket.create_server(("127.0.0.1", 0)) as dripping:
        import threading

        stop = threading.Event()

        def drip():
            while not stop.is_set():
                try:
                    line, _ = dripping.accept()
                except OSError:
                    return
                with line:
                    line.recv(65536)
                    line.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
                    )
                    try:
                        while not stop.wait(0.01):
                            line.sendall(b" ")
                    except OSError:
                        continue

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        client = client_of(
            url=f"http://127.0.0.1:{dripping.getsockname()[1]}", timeout=(1, 1), deadline_s=0.1
        )
        started = time.monotonic()
        with pytest.raises(TooSlow):
            get(client)
        assert time.monotonic() - started < 3
        stop.set()


def test_a_redirect_to_another_host_never_sees_the_token(gitlab, client):
    with serving(FakeGitlab()) as elsewhere:
        elsewhere.singles["/version"] = {}
        away = f"{elsewhere.url}/api/v4/version"
        gitlab.handlers["/version"] = lambda _: Reply(302, b"", {"Location": away})
        with pytest.raises(GitlabUnavailable, match="GITLAB_API_URL"):
            get(client)
        assert elsewhere.asked == []


def test_a_moved_project_on_the_same_host_is_followed(gitlab, client):
    gitlab.singles["/projects/7"] = {"id": 7}
    gitlab.handlers["/projects/old"] = lambda _: Reply(
        301, b"", {"Location": f"{gitlab.url}/api/v4/projects/7"}
    )
    assert get(client, "/projects/old").value == {"id": 7}


def test_a_link_to_another_host_gives_only_its_query(gitlab, client):
    link = '<http://evil.example/steal?page=2&per_page=100>; rel="next"'
    gitlab.handlers["/things"] = lambda _: answer([], link=link)
    assert get(client, "/things").following == {"page": "2", "per_page": "100"}


def test_the_token_is_in_no_message_and_no_repr(gitlab, client, caplog):
    caplog.set_level(logging.DEBUG)
    gitlab.handlers["/version"] = lambda asked: answer({"message": TOKEN}, 500)
    with pytest.raises(GitlabUnavailable) as error:
        get(client)
    told = [repr(client), str(client), str(error.value), repr(error.value), caplog.text]
    told += [str(error.value.__cause__), str(error.value.__context__)]
    assert not any(TOKEN in text for text in told)


def test_a_token_with_a_line_break_is_refused_without_being_told():
    with pytest.raises(TokenRefused, match="GITLAB_API_TOKEN") as error:
        Client(url="http://gitlab.example", token=f"{TOKEN}\n")
    assert TOKEN not in str(error.value)


@given(st.one_of(st.none(), st.text(max_size=30), st.floats().map(str), st.integers().map(str)))
def test_no_retry_after_can_raise_or_last_for_ever(value):
    headers = {} if value is None else {"Retry-After": value, "RateLimit-Reset": value}
    wait_s = asked_wait(headers, now=NOW)
    assert wait_s is None or 0 <= wait_s <= 900


@given(st.text(max_size=40))
def test_any_date_header_gives_some_time(text):
    assert server_time({"Date": text}, otherwise=NOW).tzinfo is not None


def test_the_budget_header_holds_the_next_request_back(gitlab, client_of, budget_of):
    client = client_of(patience_s=1, budget=budget_of(window_s=60))
    soon = str(int(time.time()) + 600)
    budget = {"RateLimit-Limit": "600", "RateLimit-Remaining": "1", "RateLimit-Reset": soon}
    gitlab.handlers["/version"] = lambda _: Reply(200, b"{}", {**JSON, **budget})
    get(client)
    with pytest.raises(GitlabUnavailable, match="budget") as error:
        get(client)
    assert error.value.retry_after_s > 30
    assert client.requests == 1


def test_bytes_that_are_not_the_announced_shape_are_refused_in_words(gitlab, client):
    gitlab.handlers["/things"] = lambda _: answer({"message": "surprise"})
    decode = msgspec.json.Decoder(list[dict]).decode
    with pytest.raises(GitlabUnavailable, match="another shape"):
        client.get("/things", query={}, decode=decode)


def test_an_instant_of_the_server_is_utc():
    assert server_time({"Date": "Fri, 05 Sep 2025 12:00:00 GMT"}, otherwise=NOW + dt.timedelta(days=9)) == NOW


@pytest.mark.parametrize(
    ("headers", "following"),
    [
        ({"Link": '<http://x/a?page=3>; rel="next", <http://x/a?page=1>; rel="first"'}, {"page": "3"}),
        ({"link": '<http://x/a?page=1>; rel="first"', "x-next-page": "2"}, {"page": "2"}),
        ({"Link": '<http://x/a?page=1>; rel="first"', "X-Next-Page": ""}, None),
        ({"Link": '<http://x/a?page=1>; rel="first"'}, {}),
        ({"X-Next-Page": " 4 "}, {"page": "4"}),
        ({}, {}),
    ],
    ids=str,
)
def test_the_next_page_is_found_wherever_the_server_tells_it(gitlab, client, headers, following):
    gitlab.handlers["/things"] = lambda _: answer([], **headers)
    assert get(client, "/things").following == following
