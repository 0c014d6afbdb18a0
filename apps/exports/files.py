"""The files of days, rendered: each day once, whatever number of files it stands in. Keeps nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from apps.exports import summaries
from apps.exports.errors import ExportRefused
from apps.exports.models import Artifact
from apps.exports.summaries import DayText, Occasion

CSV_DAYS = 90
_BLOCK = 1 << 20
_DAY = dt.timedelta(days=1)

Format = Artifact.Format


@dataclass(frozen=True)
class File:
    """One file, ready to be written. `blocks` yields its bytes, in any thread."""

    day: dt.date
    format: Format
    content_sha256: str
    blocks: Callable[[], Iterator[bytes]] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.day}.{self.format}"


@dataclass
class Spool:
    """The CSV lines of consecutive days in one temporary file: the CSV of a day is one stretch of it.

    Memory stays the same for sixteen projects and for three hundred.
    """

    file: IO[bytes]
    starts: list[int] = field(default_factory=lambda: [0])
    digests: list[bytes] = field(default_factory=list)

    def add(self, text: DayText) -> None:
        self.file.write(text.lines)
        self.file.flush()  # it is read by position
        self.starts.append(self.starts[-1] + len(text.lines))
        self.digests.append(text.digest)

    def series(self, day: dt.date) -> File:
        """The CSV of the day that was added last."""
        first = max(0, len(self.digests) - CSV_DAYS)
        since, until = self.starts[first], self.starts[-1]
        content = hashlib.sha256(summaries.HEADER + b"".join(self.digests[first:])).hexdigest()
        return File(day, Format.CSV, content, lambda: self._blocks(since, until))

    def _blocks(self, since: int, until: int) -> Iterator[bytes]:
        yield summaries.HEADER
        while since < until:
            block = os.pread(self.file.fileno(), min(_BLOCK, until - since), since)
            since += len(block)
            yield block


@contextmanager
def files(
    days: Sequence[dt.date], *, formats: Sequence[str], about: Occasion, history: tuple[dt.date, dt.date]
) -> Iterator[Iterator[File]]:
    """The files of `days`, day by day; their blocks can be read until the block of this context ends.

    `history` is its first day and today; raises ExportRefused for a day outside.
    """
    first, today = history
    for day in days:
        _refuse_outside(day, first=first, today=today)
    with tempfile.TemporaryFile() as opened:
        yield _made(days, Spool(opened), formats=formats, about=about, first=first, today=today)


def _made(
    days: Sequence[dt.date],
    spool: Spool,
    *,
    formats: Sequence[str],
    about: Occasion,
    first: dt.date,
    today: dt.date,
) -> Iterator[File]:
    if not days:
        return
    earliest = max(first, min(days) - (CSV_DAYS - 1) * _DAY) if Format.CSV in formats else min(days)
    for text in summaries.day_texts(org=about.org, first=earliest, last=max(days)):
        spool.add(text)
        if text.day in days and Format.JSON in formats:
            yield _document(text, about=about, provisional=text.day >= today)
        if text.day in days and Format.CSV in formats:
            yield spool.series(text.day)


def _document(text: DayText, *, about: Occasion, provisional: bool) -> File:
    whole, content = summaries.document(text, about=about, provisional=provisional)
    return File(text.day, Format.JSON, hashlib.sha256(content).hexdigest(), lambda: iter([whole]))


def _refuse_outside(day: dt.date, *, first: dt.date, today: dt.date) -> None:
    if day < first:
        raise ExportRefused(
            f"{day} lies before the history, which starts on {first}; a longer backfill reaches it."
        )
    if day > today:
        raise ExportRefused(f"{day} lies in the future: today is {today}.")
