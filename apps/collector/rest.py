"""Reading lists over REST in an order that loses no row while they change under our hands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from apps.collector.client import Answer
from apps.collector.errors import GitlabUnavailable, RouteRefused, TooSlow
from apps.collector.fields import dig
from apps.collector.normalise import Unfit, instant
from apps.collector.reading import GOOD_IN_A_ROW, PER_PAGE, Page, Place, Reading

SMALLEST_PAGE = 20
MOST_RESTARTS = 20
SWAPPED_WITHIN = dt.timedelta(minutes=10)  # neighbours in a list by age may stand the other way round


def iso(moment: dt.datetime) -> str:
    """An instant as a query takes it: UTC with Z, since a plus sign would be read as a blank."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def days_before(moment: dt.datetime) -> str:
    """A day safely before an instant in whatever zone the server lives; for filters that take dates only."""
    return (moment.astimezone(dt.UTC) - dt.timedelta(days=2)).date().isoformat()


@dataclass(frozen=True)
class Rest:
    """A list. `anchor` names the parameter of the lower bound of an ascending, re-anchored reading by `by`;

    `newest` an attribute by which the list runs backwards and below which we stop, with `since` as a server-
    side filter; neither: the list is read as a whole. `once`: further queries that are read a single time,
    whatever their age; `open`: queries for what is open, read likewise and again each night. `plain`: the
    list itself is read too, not those queries alone.
    """

    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    anchor: str = ""
    by: str = "updated_at"
    newest: str = ""
    since: str = ""
    bound: Callable[[dt.datetime], str] = iso
    once: Callable[[Place], list[dict[str, Any]]] | None = None
    open: tuple[Mapping[str, Any], ...] = ()
    plain: bool = True
    needs: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        """What the order looks at."""
        return [self.by] if self.anchor else [self.newest] if self.newest else []

    def pages(self, reading: Reading) -> Iterator[Page]:
        """Every page, in this source's order."""
        if self.anchor:
            return self._ascending(reading)
        return self._newest_first(reading) if self.newest else self._whole(reading)

    def _ascending(self, reading: Reading) -> Iterator[Page]:
        """Always ask from the last row seen; page on only among rows of one and the same instant.

        There a row that leaves the instant shifts those behind it: the page before is looked at again, and
        the instant begun anew where it changed.
        """
        bound, pager = reading.cursor.get("bound") or iso(reading.since), Pager(self, reading)
        before: list[Any] = []
        restarts = 0
        while True:
            try:
                answer = pager.ask({self.anchor: bound})
            except RouteRefused:  # a server that does not take the order: anything it gives is welcome
                yield from self._plain(reading)
                return
            moments = [moment for row in answer.value if (moment := moment_of(row, self.by))]
            if moments != sorted(moments) or (
                moments and moments[0] < instant(bound) - dt.timedelta(seconds=1)
            ):
                yield from self._plain(reading)  # a server that knows neither the order nor the bound
                return
            more = pager.has_more(answer)
            has_moved = pager.number > 1 and pager.has_changed({self.anchor: bound}, before)
            before = answer.value
            if has_moved and restarts < MOST_RESTARTS:
                pager.number, restarts, more = 1, restarts + 1, True
            elif moments and moments[-1] > instant(bound):
                bound, pager.number = iso(moments[-1]), 1
            else:
                pager.number += 1
            yield pager.page(answer, cursor={"bound": bound} if more else {})
            if not more:
                return

    def _plain(self, reading: Reading) -> Iterator[Page]:
        """Page after page, with no word on order."""
        kept = {name: value for name, value in self.query.items() if name not in ("order_by", "sort")}
        pager = Pager(replace(self, query=kept), reading)
        while True:
            answer = pager.ask({})
            yield pager.page(answer)
            if not pager.has_more(answer):
                return
            pager.number += 1

    def _newest_first(self, reading: Reading) -> Iterator[Page]:
        """A row touched meanwhile jumps to the front: its neighbours come twice, none is lost."""
        pager = Pager(self, reading)
        more = {self.since: self.bound(reading.since)} if self.since else {}
        while True:
            answer = pager.ask(more)
            moments = [moment for row in answer.value if (moment := moment_of(row, self.newest))]
            yield pager.page(answer)
            is_past = bool(moments) and max(moments[-1:]) < reading.since - SWAPPED_WITHIN
            if not pager.has_more(answer) or is_past:
                return
            pager.number += 1

    def _whole(self, reading: Reading) -> Iterator[Page]:
        pager, pages = Pager(self, reading), []
        while True:
            answer = pager.ask({})
            pages.append(pager.page(answer))
            if not pager.has_more(answer):
                break
            pager.number += 1
        documents = [document for page in pages for document in page.documents]
        yield Page(documents=documents, now=pages[0].now, whole=True)


class Pager:
    """Asks for numbered pages of one list; halves them when GitLab cannot make it in time, and recovers."""

    def __init__(self, source: Rest, reading: Reading) -> None:
        self._source, self._reading = source, reading
        self.number, self.size = 1, PER_PAGE
        self._before: list[Any] | None = None
        self._good = 0

    def ask(self, more: Mapping[str, Any]) -> Answer:
        """The page `number`. Raises GitlabUnavailable where the same page comes again and again."""
        self._grow()
        while True:
            try:
                answer = self._ask(more)
                break
            except TooSlow:
                if self.size // 2 < SMALLEST_PAGE:
                    raise
                self.size, self.number, self._good = self.size // 2, self.number * 2 - 1, 0
        if answer.value and answer.value == self._before and self.number > 1:
            raise GitlabUnavailable("GitLab sends the same page again and again.")
        self._before = answer.value
        self._good += 1
        return answer

    def _grow(self) -> None:
        """Twice the page where the rows read so far make up whole pages of that size."""
        if self.size < PER_PAGE and self._good >= GOOD_IN_A_ROW and self.number % 2:
            self.size, self.number, self._good = self.size * 2, (self.number + 1) // 2, 0

    def has_changed(self, more: Mapping[str, Any], before: list[Any]) -> bool:
        """Whether the page before this one is another than it was."""
        self.number -= 1
        try:
            found = self._ask(more).value
        finally:
            self.number += 1
        return [getattr(row, "id", None) for row in found] != [getattr(row, "id", None) for row in before]

    def _ask(self, more: Mapping[str, Any]) -> Answer:
        query = {**self._source.query, **self._reading.query, **more, "per_page": self.size}
        if self.number > 1:
            query["page"] = self.number
        path = self._reading.path(self._source.path)
        return self._reading.client.get(path, query=query, decode=self._reading.reader.rows)

    def has_more(self, answer: Answer) -> bool:
        """By the headers; where a server sends none, a full page promises another."""
        if not answer.value or answer.following is None:
            return False
        return True if answer.following else len(answer.value) >= self.size

    def page(self, answer: Answer, *, cursor: dict[str, Any] | None = None) -> Page:
        """The answer as documents."""
        given = self._reading.saw(answer.server_time)
        return Page([(row, given) for row in answer.value], answer.server_time, cursor or {})


def moment_of(row: Any, name: str) -> dt.datetime | None:
    """The instant in this attribute of a row, None where there is none to read."""
    try:
        return instant(dig(row, tuple(name.split("."))))
    except (Unfit, AttributeError):
        return None
