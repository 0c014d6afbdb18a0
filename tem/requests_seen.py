"""Every request has an id: `X-Request-Id` or one of ours, on each log line and the answer."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from tem import ids, telemetry

HEADER = "X-Request-Id"
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET = ("healthz", "readyz", "metrics")  # asked every few seconds, by machines

log = structlog.get_logger("tem.requests")


class RequestIds:
    """Binds the id, times the request, and says one line about it. Query strings may hold anything: never."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if _PLAIN.fullmatch(given) else uuid.uuid4().hex
        begun = time.monotonic()
        with ids.during(request=request_id), telemetry.span(f"{request.method} request") as one:
            response = self._get_response(request)
            route = request.resolver_match.route if request.resolver_match else ""
            one.update_name(f"{request.method} /{route}")
            telemetry.note(one, status=response.status_code)
            if request.path.strip("/") not in QUIET:
                took_ms = round((time.monotonic() - begun) * 1000)
                told = {"method": request.method, "route": f"/{route}", "status": response.status_code}
                log.info("answered", **told, ms=took_ms)
        response[HEADER] = request_id
        return response
