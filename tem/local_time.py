"""The clock that pages and the admin show: the zone of the days, while everything is kept in UTC."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from tem import clock


class LocalTime:
    """Shows the instants of a response on the clock of `TIMEZONE`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(clock.zone()):
            return self.get_response(request)
