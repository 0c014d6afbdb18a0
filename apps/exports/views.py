"""The pages and the files, for people who signed in. Doors only: parse, ask, answer."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    JsonResponse,
)
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from apps.exports import artifacts
from apps.exports.pages import dashboard_page, evidence_page
from apps.metrics.models import Scope
from apps.metrics.registry import METRICS
from tem import clock

_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@require_safe
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """`/?scope=team:Trading&day=2025-09-04`: the tiles of a scope; both parameters may be absent."""
    page = dashboard_page(scope=request.GET.get("scope") or "org", day=_day(request), now=clock.now())
    status = HTTPStatus.NOT_FOUND if page["unknown_scope"] else HTTPStatus.OK
    return render(request, "exports/dashboard.html", page, status=status)


@require_safe
@login_required
def evidence(request: HttpRequest) -> HttpResponse:
    """`/evidence/?metric=KEY&scope=org&day=2025-09-04`: what one number was made of."""
    metric = next((metric for metric in METRICS if metric.key == request.GET.get("metric")), None)
    day = _day(request)
    if metric is None or day is None:
        raise Http404("The address names no metric and day: open it from a tile of the dashboard.")
    scope = get_object_or_404(Scope, key=request.GET.get("scope") or "org", is_current=True)
    return render(
        request, "exports/evidence.html", evidence_page(metric=metric, scope=scope, day=day, now=clock.now())
    )


@require_safe
def daily_file(request: HttpRequest, day: str, form: str) -> HttpResponseBase:
    """`/exports/daily/2025-09-04.json`: the version that stands. ETag is its SHA-256."""
    if not request.user.is_authenticated:
        return problem(HTTPStatus.UNAUTHORIZED, f"Sign in at {settings.LOGIN_URL} first.")
    wanted = _date(day)
    if wanted is None:
        return problem(HTTPStatus.NOT_FOUND, f"{day} is not a day; days are written as 2025-09-04.")
    artifact = artifacts.newest(wanted, form)
    path = Path(settings.TEM_EXPORT_DIR) / artifacts.FOLDER / f"{wanted}.{form}"
    if artifact is None or not path.is_file():
        advice = f"Write it with: manage.py export {wanted} --format {form}"
        return problem(HTTPStatus.NOT_FOUND, f"No {form} file has been published for {wanted}. {advice}")
    tag = f'"{artifact.sha256}"'
    if tag in request.headers.get("If-None-Match", ""):
        return HttpResponseNotModified(headers={"ETag": tag})
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=path.name, content_type=_TYPES[form], headers=headers
    )


def problem(status: HTTPStatus, detail: str) -> JsonResponse:
    """An error as RFC 9457 wants it; `detail` says what to do."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json")


def _day(request: HttpRequest) -> dt.date | None:
    return _date(request.GET.get("day", ""))


def _date(text: str) -> dt.date | None:
    """A day as 2025-09-04, else None."""
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 (a day has no zone)
    except ValueError:
        return None
