"""What operators and probes ask: alive, ready, how it stands, and to run something. Knows no metric.

`/healthz`, `/readyz` and `/status` need no sign-in and say nothing secret: paths of projects and
reasons are shown to staff only. A run is opened by signed-in staff, with protection against forgery.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
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

from apps.runs.models import Run
from tem import clock, pipeline, standing
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


class OpenRun(Staff):
    """`POST /runs/{kind}`: 202 with the run and its Location. Joining the one under way says so.

    The same `Idempotency-Key` always answers the same run, however often it is sent.
    """

    kind = ""
    reads: dict[str, tuple[str, Callable[[str], Any]]] = {}

    def post(self, request: Request) -> Response:
        key = request.headers.get("Idempotency-Key") or str(uuid.uuid4())
        try:
            run = pipeline.start(self.kind, slot=f"asked {key}"[:64], now=clock.now(), **self._asked(request))
        except (BadRequest, NoHistory) as refusal:
            raise Problem(str(refusal)) from refusal
        told = {**standing.run_json(run, with_names=True), "joined": run.joined}
        return Response(told, status=202, headers={"Location": reverse("run", args=[run.pk])})

    def _asked(self, request: Request) -> dict[str, Any]:
        if unknown := set(request.query_params) - set(self.reads):
            raise Problem(f"unknown parameters: {', '.join(sorted(unknown))}")
        return {self.reads[name][0]: self._value(request, name) for name in request.query_params}

    def _value(self, request: Request, name: str) -> Any:
        try:
            return self.reads[name][1](request.query_params[name])
        except ValueError as error:
            raise Problem(f"{name}: {error}") from error


class OneRun(Staff):
    """`GET /runs/{id}`: the run as it stands."""

    def get(self, request: Request, run_id: int) -> Response:
        return Response(standing.run_json(get_object_or_404(Run, pk=run_id), with_names=True))


DAYS = {"days": ("days", int)}
WINDOW = {"from": ("first", dt.date.fromisoformat), "to": ("last", dt.date.fromisoformat)}

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("status", status, name="status"),
    path("runs/backfill", OpenRun.as_view(kind="backfill", reads=DAYS), name="run-backfill"),
    path("runs/incremental", OpenRun.as_view(kind="incremental"), name="run-incremental"),
    path("runs/recompute", OpenRun.as_view(kind="recompute", reads=WINDOW), name="run-recompute"),
    path("runs/<int:run_id>", OneRun.as_view(), name="run"),
]
