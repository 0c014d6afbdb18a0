"""`POST /hooks/gitlab`: GitLab's webhooks as hints, for who wants them. Off until a secret is set.

Answers at once, asks GitLab nothing, keeps no payload, and logs neither payload nor token. Every secret that
is set must be proved: the token in clear, the signature of the body, or both.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from functools import lru_cache

import msgspec
import redis
import structlog
from django.conf import settings
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.collector import webhook_events
from tem import clock

LARGEST_BODY = 8 * 2**20  # the event of a pipeline lists all its jobs
TOLERANCE = dt.timedelta(minutes=5)
REMEMBERED = dt.timedelta(days=1)
BROKER_S = 0.3

log = structlog.get_logger(__name__)


class _Refusal(Exception):
    """Why a request is not taken, ready to be told to its sender."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title = status, title


def is_on() -> bool:
    """Whether a secret is set."""
    return bool(settings.TEM_WEBHOOK_TOKEN or settings.TEM_WEBHOOK_SIGNING_KEY)


@csrf_exempt  # the sender is no browser: it proves itself by the secret
@never_cache
def gitlab_hook(request: HttpRequest) -> HttpResponse:
    """202 with how many lists were marked, be it none; else application/problem+json."""
    if not is_on():
        raise Http404
    now = clock.now()
    try:
        body = _proved(request, now=now)
        return JsonResponse({"marked": _mark(request, body, now=now)}, status=202)
    except _Refusal as refusal:
        told = {
            "type": "about:blank",
            "title": refusal.title,
            "status": refusal.status,
            "detail": str(refusal),
        }
        return JsonResponse(told, status=refusal.status, content_type="application/problem+json")


def _proved(request: HttpRequest, *, now: dt.datetime) -> bytes:
    """The body of a request whose sender knows our secrets."""
    if request.method != "POST":
        raise _Refusal(405, "Method Not Allowed", "A webhook is sent with POST.")
    token = settings.TEM_WEBHOOK_TOKEN
    if token and not constant_time_compare(request.headers.get("X-Gitlab-Token", ""), token):
        raise _Refusal(401, "Unauthorized", "X-Gitlab-Token is not the token that is set here.")
    body = request.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise _Refusal(413, "Content Too Large", f"More than {LARGEST_BODY} bytes are not read.")
    key = settings.TEM_WEBHOOK_SIGNING_KEY
    if key and not _is_signed(request, body, key=key, now=now):
        raise _Refusal(401, "Unauthorized", "webhook-signature does not prove this body, or it is too old.")
    return body


def _is_signed(request: HttpRequest, body: bytes, *, key: bytes, now: dt.datetime) -> bool:
    """Whether one of the signatures is ours, of this moment; the Standard Webhooks form."""
    name, sent = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    if not name or not (sent.isascii() and sent.isdigit()):
        return False
    is_recent = abs(int(sent[:12]) - now.timestamp()) <= TOLERANCE.total_seconds()
    signed = f"{name}.{sent}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = request.headers.get("webhook-signature", "").split(" ")
    return any(constant_time_compare(one, wanted) for one in given) and is_recent


def _mark(request: HttpRequest, body: bytes, *, now: dt.datetime) -> int:
    """Mark what the event concerns, once for each delivery."""
    try:
        event = webhook_events.event_in(body)
    except msgspec.DecodeError as error:
        raise _Refusal(400, "Bad Request", "The body is not a JSON object.") from error
    deliveries = _Deliveries(_name_of(request, body))
    if deliveries.is_known():
        return 0
    try:
        marked = webhook_events.mark_dirty(event, now=now)
    except OperationalError as error:
        raise _Refusal(503, "Service Unavailable", "The database does not take the hint now.") from error
    deliveries.remember()  # only now: a hint that was not kept may come again
    if marked:  # only now are kind and number known not to be just anything
        log.info("webhook", kind=event.kind, project=event.project_id, marked=marked)
    return marked


def _name_of(request: HttpRequest, body: bytes) -> str:
    """What stays the same when GitLab sends the same event again; "" where it does not say.

    Hooks that call each other share the last of these, so there the body is part of the name.
    """
    for header in ("Idempotency-Key", "webhook-id"):
        if name := request.headers.get(header):
            return name
    name = request.headers.get("X-Gitlab-Event-UUID", "")
    return f"{name} {hashlib.sha256(body).hexdigest()}" if name else ""


class _Deliveries:
    """Which deliveries came before, for a day. Without Redis none is known: marking again does no harm."""

    def __init__(self, name: str) -> None:
        self._key = f"{settings.TEM_REDIS_PREFIX}hook:{hashlib.sha256(name.encode()).hexdigest()}"
        self._is_named = bool(name)

    def is_known(self) -> bool:
        try:
            return self._is_named and bool(_redis(settings.TEM_REDIS_URL).exists(self._key))
        except redis.RedisError:
            self._is_named = False  # nor would it take the name: do not wait for it twice
            return False

    def remember(self) -> None:
        try:
            if self._is_named:
                _redis(settings.TEM_REDIS_URL).set(self._key, "1", ex=REMEMBERED)
        except redis.RedisError as error:
            log.info("a delivery is not remembered", reason=type(error).__name__)


@lru_cache(maxsize=4)
def _redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://"),
        socket_connect_timeout=BROKER_S,
        socket_timeout=BROKER_S,
        retry=Retry(NoBackoff(), 0),
    )
