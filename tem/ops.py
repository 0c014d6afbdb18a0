"""What operators and probes ask: alive, ready, how it stands, and to run something. Knows no metric.

`/healthz`, `/readyz`, `/status` and `/metrics` need no sign-in and say nothing secret: paths of projects and
reasons are shown to staff only. A run is opened by signed-in staff, with protection against forgery.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from apps.runs.controls import Order
from apps.runs.errors import NotNow
from apps.runs.models import Run, RunAction
from tem import clock, controls, standing
from tem.figures import metrics
from tem.history import BadRequest, NoHistory
from tem.probes import PROBES


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when everything that TEM stands on is there, else 503; either way each check by name."""
    checks = {name: probe() or "ok" for name, probe in PROBES.items()}
    is_ready = set(checks.values()) == {"ok"}
    answer = {"status": "ok" if is_ready else "not ready", "checks": checks}
    return JsonResponse(answer, status=200 if is_ready else 503)


@never_cache
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """How it stands: last runs, coverage, GitLab and its budget, lag, quarantine, next slots, versions."""
    user = getattr(request, "user", None)
    return JsonResponse(standing.status(now=clock.now(), with_names=bool(user and user.is_staff)))


class Problem(APIException):
    """What was asked for cannot be done; becomes application/problem+json."""

    status_code = 400


class Conflict(Problem):
    """It could be done, but not as things stand."""

    status_code = 409


def as_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Errors of the API in the form of RFC 9457."""
    answer = exception_handler(error, context)
    if answer is None:
        return None
    detail = answer.data.get("detail", answer.data) if isinstance(answer.data, dict) else answer.data
    answer.data = {"type": "about:blank", "title": answer.status_text, "status": answer.status_code}
    answer.data["detail"] = str(detail)
    answer.content_type = "application/problem+json"
    return answer


class Staff(APIView):
    """A view for signed-in staff; requests that change something need Django's CSRF token."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAdminUser]
    parser_classes = [JSONParser, FormParser, MultiPartParser]  # the check against forgery reads the body

    def get_exception_handler(self) -> Any:
        return as_problem


Reads = dict[str, tuple[str, Callable[[str], Any]]]
"""By the name of a parameter: the name of the argument, and what reads its text (ValueError: a bad one)."""


def asked(request: Request, reads: Reads) -> dict[str, Any]:
    """The request's arguments, from its query and its body. Raises Problem for an unknown or a bad one."""
    body = request.data if isinstance(request.data, Mapping) else {}
    given = {**request.query_params.dict(), **{name: str(body[name]) for name in body}}
    given.pop("csrfmiddlewaretoken", None)
    if unknown := set(given) - set(reads):
        raise Problem(f"unknown parameters: {', '.join(sorted(unknown))}")
    return {reads[name][0]: _read(name, text, reads[name][1]) for name, text in given.items()}


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise Problem(f"{name}: {error}") from error


def order_of(request: Request) -> Order:
    """Who asks, and the key that makes a request sent twice one. Raises Problem for too long a key."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > controls.LONGEST_KEY:
        raise Problem(f"Idempotency-Key: at most {controls.LONGEST_KEY} characters, not {len(key)}.")
    return controls.order(request.user.get_username(), now=clock.now(), key=key)


def words(text: str) -> str:
    """Text as people type it. Raises ValueError for anything that cannot be printed."""
    if not text.isprintable():
        raise ValueError("only printable characters")
    return text


class OpenRun(Staff):
    """`POST /runs/{kind}`: 202 with the run and its Location. Joining the one under way says so.

    The same `Idempotency-Key` always answers the same run, however often it is sent.
    """

    kind = ""
    reads: Reads = {}

    def post(self, request: Request) -> Response:
        try:
            run = controls.start(self.kind, order=order_of(request), **asked(request, self.reads))
        except (BadRequest, NoHistory) as refusal:
            raise Problem(str(refusal)) from refusal
        except NotNow as refusal:
            raise Conflict(str(refusal)) from refusal
        told = {**standing.run_json(run, now=clock.now(), with_names=True), "joined": run.joined}
        return Response(told, status=202, headers={"Location": reverse("run", args=[run.pk])})


class OneRun(Staff):
    """`GET /runs/{id}`: the run as it stands."""

    def get(self, request: Request, run_id: int) -> Response:
        return Response(
            standing.run_json(get_object_or_404(Run, pk=run_id), now=clock.now(), with_names=True)
        )


class Steer(Staff):
    """`POST /runs/{id}/cancel` and `/retry`: 202 with what was done, and the run's Location.

    `cause=` and `step=` limit a retry, in the query or the body. The same `Idempotency-Key` is always
    told the same. 409 when it cannot be done as things stand.
    """

    act: Callable[..., RunAction] = staticmethod(controls.retry)
    reads: Reads = {}

    def post(self, request: Request, run_id: int) -> Response:
        get_object_or_404(Run, pk=run_id)
        try:
            action = self.act(run_id, order=order_of(request), **asked(request, self.reads))
        except NotNow as refusal:
            raise Conflict(str(refusal)) from refusal
        told = standing.run_json(Run.objects.get(pk=run_id), now=clock.now(), with_names=True)
        told["action"] = {"id": action.pk, "answer": action.answer, "steps": action.steps}
        return Response(told, status=202, headers={"Location": reverse("run", args=[run_id])})


DAYS = {"days": ("days", int)}
STEPS = {"cause": ("cause", words), "step": ("step_id", int)}
WINDOW = {"from": ("first", dt.date.fromisoformat), "to": ("last", dt.date.fromisoformat)}

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("status", status, name="status"),
    path("metrics", metrics, name="metrics"),
    path("runs/backfill", OpenRun.as_view(kind="backfill", reads=DAYS), name="run-backfill"),
    path("runs/incremental", OpenRun.as_view(kind="incremental"), name="run-incremental"),
    path("runs/recompute", OpenRun.as_view(kind="recompute", reads=WINDOW), name="run-recompute"),
    path("runs/<int:run_id>/cancel", Steer.as_view(act=controls.cancel), name="run-cancel"),
    path("runs/<int:run_id>/retry", Steer.as_view(act=controls.retry, reads=STEPS), name="run-retry"),
    path("runs/<int:run_id>", OneRun.as_view(), name="run"),
]
