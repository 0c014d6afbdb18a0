"""The daily files on disk: written atomically, recorded, never overwritten silently.

A file is stored under a temporary name, its ledger row is committed, then it takes its name. Whoever comes
next after a crash finishes what the ledger knows and throws the rest away (`recover`).
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from django.db import connection, transaction

from apps.exports import disk, summaries
from apps.exports.files import File, files
from apps.exports.models import Artifact
from apps.runs.models import Run
from tem import clock, telemetry

FORMATS = ("json", "csv")
FOLDER = "daily"
_BATCH = 32
_STORING = 4
_LOCK = 0x7E4DE890  # any number: one writer of files at a time
_TEMPORARY = re.compile(r"^\.(?P<day>\d{4}-\d\d-\d\d)\.(?P<format>\w+)\.v(?P<version>\d+)\.tmp$")


class Progress(Protocol):
    """Where a step notes what it did; see apps.runs.ledger."""

    def save(self, *, rows: int = 0) -> None: ...


def write_day(
    day: dt.date, *, formats: Sequence[str] = FORMATS, directory: Path, run: Run | None = None
) -> list[Artifact]:
    """Write the files of one local day below `directory`; see `write_days`."""
    return write_days([day], formats=formats, directory=directory, run=run)


def write_days(
    days: Iterable[dt.date],
    *,
    formats: Sequence[str] = FORMATS,
    directory: Path,
    run: Run | None = None,
    step: Progress | None = None,
    now: dt.datetime | None = None,
) -> list[Artifact]:
    """Write the files of `days` where their content is new; answers the versions that stand afterwards.

    Content that stands already is left alone, byte for byte. `step` counts the files that were written.
    Raises ExportRefused for a day outside of the history.
    """
    now = now or clock.now()
    wanted, history = sorted(set(days)), summaries.history(now=now)
    about = summaries.occasion(now=now, run=run)
    folder = Path(directory) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    ready = files(wanted, formats=formats, about=about, history=history)
    told = telemetry.span("export", days=len(wanted))
    with told, _sole_writer(), ready as rendered, ThreadPoolExecutor(_STORING) as pool:
        recover(folder)
        writer = _Writer(folder, about, _standing(wanted), now, step, pool)
        for file in rendered:
            writer.take(file)
        writer.publish()
    return writer.standing


def copy_day(
    day: dt.date, *, formats: Sequence[str] = FORMATS, directory: Path, now: dt.datetime
) -> list[Path]:
    """Write the files of one day into `directory` itself, as somebody's copy: the ledger stays as it is."""
    history = summaries.history(now=now)
    about = summaries.occasion(now=now, run=None)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    with files([day], formats=formats, about=about, history=history) as ready:
        for file in ready:
            temporary = directory / f".{file.name}.tmp"
            disk.store(temporary, file.blocks())
            os.replace(temporary, directory / file.name)
            paths.append(directory / file.name)
    return paths


def newest(day: dt.date, form: str) -> Artifact | None:
    """The version of a file that stands."""
    return Artifact.objects.filter(day=day, format=form).order_by("-version").first()


def recover(folder: Path) -> None:
    """Finish what a crash left between the ledger and the name; drop what never reached the ledger."""
    for path in sorted(folder.glob(".*.tmp")):
        match = _TEMPORARY.match(path.name)
        row = match and Artifact.objects.filter(**match.groupdict()).first()
        if row and disk.digest_of(path) == row.sha256:
            _take_name(path, row)
        else:
            path.unlink()


@dataclass
class _Writer:
    """Stores files under temporary names, and publishes them in small batches: rows first, then names.

    Storing goes on side by side while the next day is rendered: the disk does it in a third of the time.
    """

    folder: Path
    about: summaries.Occasion
    known: dict[tuple[dt.date, str], Artifact]
    now: dt.datetime
    step: Progress | None
    pool: Executor
    standing: list[Artifact] = field(default_factory=list)
    pending: list[tuple[Path, Artifact, Future[tuple[str, int]]]] = field(default_factory=list)

    def take(self, file: File) -> None:
        """Store the file, unless the version that stands says the same."""
        before, on_disk = self.known.get((file.day, file.format)), self.folder / file.name
        if before and before.content_sha256 == file.content_sha256 and _is_whole(on_disk, before):
            self.standing.append(before)
            return
        version = before.version + 1 if before else _first_version(on_disk)
        temporary = self.folder / f".{file.name}.v{version}.tmp"
        stored = self.pool.submit(disk.store, temporary, file.blocks())
        row = Artifact(
            day=file.day,
            format=file.format,
            version=version,
            content_sha256=file.content_sha256,
            rules_version=self.about.rules_version,
            run_id=self.about.run_id,
            reason=self._reason(before, file, on_disk=on_disk),
            written_at=self.now,
        )
        self.pending.append((temporary, row, stored))
        if len(self.pending) >= _BATCH:
            self.publish()

    def _reason(self, before: Artifact | None, file: File, *, on_disk: Path) -> str:
        if before is None:
            return "a file that the ledger did not know stood here and was kept" if on_disk.exists() else ""
        if before.content_sha256 == file.content_sha256:
            return "the file was missing or damaged"
        if before.rules_version != self.about.rules_version:
            return f"rules {before.rules_version} -> {self.about.rules_version}"
        return "values changed"

    def publish(self) -> None:
        """Commit the rows of what is pending, then give the files their names."""
        for _, row, stored in self.pending:
            row.sha256, row.size = stored.result()
        with transaction.atomic():
            self.standing += Artifact.objects.bulk_create([row for _, row, _ in self.pending])
            if self.step is not None:
                self.step.save(rows=len(self.pending))
        for temporary, row, _ in self.pending:
            _take_name(temporary, row)
        disk.sync_folder(self.folder)
        self.pending.clear()


def _standing(days: Sequence[dt.date]) -> dict[tuple[dt.date, str], Artifact]:
    rows = Artifact.objects.filter(day__in=days).order_by("version")
    return {(row.day, row.format): row for row in rows}


def _first_version(on_disk: Path) -> int:
    """1, or above whatever an older ledger left behind: those files are kept, not overwritten."""
    if not on_disk.exists():
        return 1
    kept = on_disk.parent.glob(f"{on_disk.stem}.v*{on_disk.suffix}")
    return max((int(path.stem.rpartition(".v")[2]) for path in kept), default=0) + 2


def _is_whole(path: Path, row: Artifact) -> bool:
    return path.exists() and path.stat().st_size == row.size


def _take_name(temporary: Path, row: Artifact) -> None:
    final = temporary.with_name(f"{row.day}.{row.format}")
    kept = temporary.with_name(f"{row.day}.v{row.version - 1}.{row.format}")
    disk.take_name(temporary, final, keep_as=kept)


@contextmanager
def _sole_writer() -> Iterator[None]:
    """One writer at a time, across processes and machines; a lost connection gives the lock back."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s)", [_LOCK])
