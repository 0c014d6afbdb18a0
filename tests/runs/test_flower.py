"""Flower, served in this process: nothing without a sign-in, ids only, and a button that retries a step."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Iterator
from http import HTTPStatus
from types import SimpleNamespace

import pytest
import requests
from flower.app import Flower
from flower.urls import settings as flower_settings
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.options import options

from apps.runs.models import Run, RunAction, RunStep
from tem import clock
from tem import flower as ours
from tem.celery import app

FROM = {"hostname": "w@h", "timestamp": 1.0, "local_received": 1.0, "clock": 1, "pid": 1, "utcoffset": 0}
LOGIN = {"Authorization": "Basic " + b64encode(b"admin:a-password").decode()}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def step(broker) -> RunStep:
    now = clock.now()
    run = Run.objects.create(
        kind="nightly", slot="x", state="partial", phase="collect", requested_at=now, finished_at=now,
        parameters={"first": "2025-01-01", "last": "2025-01-02", "scheduled": True},
    )  # fmt: skip
    lost = {
        "state": "quarantined",
        "error_class": "ValueError",
        "error_text": "a <bad> row",
        "label": "toman/a",
    }
    return RunStep.objects.create(run=run, phase="collect", project_id=2, **lost)


@pytest.fixture
def flower(step) -> Iterator[str]:
    """Flower's address; it has heard of one task that does the step, and of one that does none."""
    ours.install()
    ready, found = threading.Event(), SimpleNamespace()

    async def serve() -> None:
        options.basic_auth = ["admin:a-password"]
        seen = Flower(capp=app, options=options, **flower_settings)
        ids = {"run_id": step.run_id, "step_id": step.pk}
        for uuid, name, told in (("one", "tem.pipeline.collect", ids), ("none", "tem.pipeline.tick", {})):
            event = {"type": "task-received", "uuid": uuid, "name": name, "args": "()", "kwargs": repr(told)}
            seen.events.state.event({**event, **FROM})
        sockets = bind_sockets(0, address="127.0.0.1")
        server = HTTPServer(seen)
        server.add_sockets(sockets)
        found.address, found.over = f"http://127.0.0.1:{sockets[0].getsockname()[1]}", asyncio.Event()
        found.loop = asyncio.get_running_loop()
        ready.set()
        await found.over.wait()
        server.stop()
        await server.close_all_connections()
        seen.executor.shutdown()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(timeout=10)
    yield found.address
    found.loop.call_soon_threadsafe(found.over.set)
    thread.join()
    options.basic_auth = []


def ask(address: str, *, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
    method = "GET" if form is None else "POST"
    answer = requests.request(method, address, data=form, headers=headers, timeout=20)
    return answer.status_code, answer.text


class TestSignIn:
    def test_strangers_see_nothing(self, flower):
        paths = ["/", "/tasks", "/task/one", "/broker", "/metrics", "/api/tasks", "/api/task/info/one"]
        guess = {"Authorization": "Basic " + b64encode(b"admin:guess").decode()}
        answers = {
            (path, bool(login)): ask(flower + path, **login)[0] for path in paths for login in ({}, guess)
        }
        assert answers == dict.fromkeys(answers, HTTPStatus.UNAUTHORIZED)

    def test_strangers_and_other_sites_retry_nothing(self, flower, step):
        assert ask(flower + "/task/one", form={})[0] == HTTPStatus.UNAUTHORIZED
        foreign = {**LOGIN, "Origin": "http://evil.example"}
        assert ask(flower + "/task/one", form={}, **foreign)[0] == HTTPStatus.FORBIDDEN
        assert not RunAction.objects.exists()

    def test_it_does_not_start_without_one(self, monkeypatch):
        monkeypatch.delenv("FLOWER_BASIC_AUTH", raising=False)
        with pytest.raises(SystemExit, match="FLOWER_BASIC_AUTH: is not set"):
            ours.main([])


class TestTheTaskPage:
    def test_it_tells_of_the_step_and_of_ids_only(self, flower, step):
        status, page = ask(flower + "/task/one", **LOGIN)
        assert status == HTTPStatus.OK
        assert f"Run {step.run_id}, nightly: collect toman/a" in page
        assert "ValueError: a &lt;bad&gt; row" in page
        assert f"{{&#x27;run_id&#x27;: {step.run_id}, &#x27;step_id&#x27;: {step.pk}}}" in page.replace(
            "&#39;", "&#x27;"
        )

    def test_the_button_retries_the_step_once(self, flower, step):
        answers = [ask(flower + "/task/one", form={"key": "k"}, **LOGIN) for _ in range(2)]
        assert all("1 step to try again" in page for _, page in answers)
        assert 'id="step-retry"' not in answers[0][1], "there is nothing more to retry"
        step.refresh_from_db()
        action = RunAction.objects.get()
        assert (step.state, action.who, action.asked) == ("pending", "admin in Flower", {"step": step.pk})

    def test_all_that_the_run_lost_is_retried_and_the_run_cancelled(self, flower, step):
        RunStep.objects.create(run=step.run, phase="collect", project_id=9, state="failed")
        assert "(2)" in ask(flower + "/task/one", **LOGIN)[1]
        page = ask(flower + "/task/one", form={"act": "retry-all"}, **LOGIN)[1]
        assert "2 steps to try again" in page and "Yes, cancel run" in page
        page = ask(flower + "/task/one", form={"act": "cancel"}, **LOGIN)[1]
        assert "is cancelled" in page and "run-cancel" not in page
        assert list(RunAction.objects.order_by("id").values_list("what", flat=True)) == ["retry", "cancel"]
        assert ask(flower + "/task/one", form={"act": "drop"}, **LOGIN)[0] == HTTPStatus.BAD_REQUEST

    def test_a_refusal_is_told(self, flower, step):
        Run.objects.create(kind="nightly", slot="y", state="active", requested_at=clock.now())
        assert "A nightly is under way" in ask(flower + "/task/one", form={}, **LOGIN)[1]

    def test_a_task_without_a_step_has_a_page_and_no_button(self, flower):
        status, page = ask(flower + "/task/none", **LOGIN)
        assert (status, "step-retry" in page) == (HTTPStatus.OK, False)
        assert ask(flower + "/task/none", form={}, **LOGIN)[0] == HTTPStatus.BAD_REQUEST
        assert ask(flower + "/task/other", **LOGIN)[0] == HTTPStatus.NOT_FOUND
