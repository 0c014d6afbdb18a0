"""Flower with one more thing on the page of a task: what became of its step, and buttons to steer its run.

`python -m tem.flower OPTIONS` is `celery -A tem flower OPTIONS`, never without a sign-in. Flower knows
tasks and we know steps; the ids in the task's arguments are all that the two share.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import django
from celery.bin.celery import main as celery
from django.db import connection
from flower import urls
from flower.utils.tasks import get_task_by_id
from flower.views import monitor
from flower.views.tasks import TaskView
from tornado import template, web
from tornado.ioloop import IOLoop

OURS = Path(__file__).resolve().parents[1] / "templates" / "flower"
THEIRS = Path(urls.settings["template_path"])


class Step(NamedTuple):
    """A step of the ledger, as the page of its task shows it."""

    step_id: int
    run_id: int
    kind: str
    what: str
    state: str
    error: str
    is_lost: bool
    is_active: bool
    lost: int


class Templates(template.Loader):
    """Our templates before Flower's, so that ours can extend theirs."""

    def _create_template(self, name: str) -> template.Template:
        folder = OURS if (OURS / name).exists() else THEIRS
        return template.Template((folder / name).read_bytes(), name=name, loader=self)


class StepView(TaskView):
    """The page of a task; a POST retries its step, or all that its run lost, or cancels the run."""

    def get_template_path(self) -> str:
        return str(OURS)

    def create_template_loader(self, template_path: str) -> template.Loader:
        return Templates(template_path)

    @web.authenticated
    async def get(self, task_id: str) -> None:
        await self._show(task_id)

    @web.authenticated
    async def post(self, task_id: str) -> None:
        number = step_of(self._task(task_id))
        if number is None:
            raise web.HTTPError(400, "This task does no step.")
        who, key = f"{self._person()} in Flower", self.get_argument("key", "")[:36]
        act = ACTS.get(self.get_argument("act", "retry"))
        if act is None:
            raise web.HTTPError(400, "A run can be retried, whole or one step of it, and cancelled.")
        told = await _in_thread(lambda: steer(number, act, who=who, key=key))
        await self._show(task_id, told=told)

    async def _show(self, task_id: str, *, told: str = "") -> None:
        task = self._task(task_id)
        number = step_of(task)
        step = None if number is None else await _in_thread(lambda: look(number))
        read_only = self.application.options.read_only
        self.render("step.html", task=task, read_only=read_only, step=step, told=told, key=str(uuid.uuid4()))

    def _task(self, task_id: str) -> Any:
        task = get_task_by_id(self.application.events, task_id)
        if task is None:
            raise web.HTTPError(404, f"Unknown task '{task_id}'")
        return self.format_task(task)

    def _person(self) -> str:
        """The name of the login, which Flower has checked by now."""
        login = self.request.headers["Authorization"].split()[1]
        return b64decode(login).decode().partition(":")[0]


class SignedInMetrics(monitor.Metrics):
    """Flower shows these to strangers; they name our workers and tasks."""

    @web.authenticated
    async def get(self) -> None:
        await super().get()


def step_of(task: Any) -> int | None:
    """The step in the task's arguments, which Celery tells as the text of a dict; None if none is."""
    found = re.search(r"'step_id': (\d{1,18})\b", task.kwargs or "")
    return int(found[1]) if found else None


def look(number: int) -> Step | None:
    """The step as the ledger has it; None when its run has been deleted."""
    from apps.runs.models import Run, RunStep  # models can be imported once Django is set up
    from apps.runs.phases import LEFT_OUT

    step = RunStep.objects.select_related("run").filter(pk=number).first()
    if step is None:
        return None
    error = ": ".join(filter(None, (step.error_class, step.error_text)))
    of_run = step.run.steps.filter(state__in=LEFT_OUT).count()
    is_lost, is_active = step.state in LEFT_OUT, step.run.state == Run.State.ACTIVE
    what = (step.pk, step.run_id, step.run.kind, str(step), step.state, error)
    return Step(*what, is_lost=is_lost, is_active=is_active, lost=of_run)


def _retry(step: Any, order: Any) -> str:
    from tem import controls

    return controls.retry_step(step.pk, order=order).answer


def _retry_all(step: Any, order: Any) -> str:
    from tem import controls

    return controls.retry(step.run_id, order=order).answer


def _cancel(step: Any, order: Any) -> str:
    from tem import controls

    return controls.cancel(step.run_id, order=order).answer


ACTS: dict[str, Callable[[Any, Any], str]] = {"retry": _retry, "retry-all": _retry_all, "cancel": _cancel}


def steer(number: int, act: Callable[[Any, Any], str], *, who: str, key: str) -> str:
    """Do it to the step or its run, as every other door does; what to tell the person."""
    from apps.runs.errors import NotNow
    from apps.runs.models import RunStep
    from tem import clock, controls

    try:
        return act(RunStep.objects.get(pk=number), controls.order(who, now=clock.now(), key=key))
    except (NotNow, RunStep.DoesNotExist) as refusal:
        return str(refusal)


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Django's database layer blocks, and refuses to in an event loop."""

    def and_hang_up() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return await IOLoop.current().run_in_executor(None, and_hang_up)


def main(options: list[str]) -> None:
    """Serve until asked to end. Refuses to without FLOWER_BASIC_AUTH (name:password)."""
    if ":" not in os.environ.get("FLOWER_BASIC_AUTH", ""):
        sys.exit(
            "FLOWER_BASIC_AUTH: is not set. Flower is never shown without a sign-in: give name:password."
        )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tem.settings")
    django.setup()
    install()
    sys.argv[:] = ["celery", "-A", "tem", "flower", *options]
    celery()


def install() -> None:
    """Put our pages where Flower's were, in every Flower that this process builds from now on."""
    ours = {TaskView: StepView, monitor.Metrics: SignedInMetrics}
    urls.handlers[:] = [_changed(handler, ours) for handler in urls.handlers]


def _changed(handler: Any, ours: dict[Any, Any]) -> Any:
    if isinstance(handler, tuple):
        return (handler[0], ours.get(handler[1], handler[1]), *handler[2:])
    view = ours.get(handler.handler_class, handler.handler_class)
    return web.url(handler.regex.pattern, view, handler.kwargs, handler.name)


if __name__ == "__main__":
    main(sys.argv[1:])
